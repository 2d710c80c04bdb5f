"""`assay view [DIR]`."""

from pathlib import Path


def view_command(directory: Path = Path("runs"), /, *, port: int = 8737) -> None:
    """Show a folder of runs in the browser: list, filter, live progress, samples, comparisons. Ctrl-C ends it.

    Local and read-only: it listens on 127.0.0.1 and changes nothing.

    Parameters
    ----------
    directory
        The folder that holds run directories (default: runs), or one run.
    port
        Port on 127.0.0.1; 0 for any free one.

    """
    import importlib.util
    import signal
    from types import FrameType

    from assay.cli.console import print_text, say
    from assay.core.errors import UsageError

    if importlib.util.find_spec("jinja2") is None:
        raise UsageError("assay view needs jinja2: pip install 'assay-lab[report]'")
    from assay.view.server import ViewServer

    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: give a number from 0 to 65535")

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with ViewServer(directory, port) as server:
            print_text(server.address)
            say(f"showing {directory.resolve()}; Ctrl-C ends it")
            server.serve_forever()
    except KeyboardInterrupt:
        say("ended")
    finally:
        signal.signal(signal.SIGTERM, before)
