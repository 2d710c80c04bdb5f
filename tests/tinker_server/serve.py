"""Starts SkyRL's Tinker-compatible server (package `skyrl`, extras `tinker` and `jax`) for tests, on the CPU.

    python serve.py --base-model FOLDER --port 8000 --checkpoints-base FOLDER --database-url sqlite:///FILE ...

Takes the options of `skyrl.tinker.api`. Two things stand in the way of starting that module itself, and only they are
changed here:

- pydantic refuses `typing.TypedDict` on Python 3.11, and skyrl 0.3.0 uses it: it gets that of typing_extensions.
- the server starts its engine through `uv run`, which would resolve the environment again: it gets this interpreter.

`current_protocol` lets SDKs that are newer than the server speak to it too.

With `--engine` first, this file is the engine process.
"""
# pyright: reportMissingImports=false

import argparse
import sys
import typing

import typing_extensions
from current_protocol import CurrentProtocol

ENGINE = "--engine"


def main() -> None:
    """The server, or with `--engine` its engine."""
    typing.TypedDict = typing_extensions.TypedDict
    if sys.argv[1:2] == [ENGINE]:
        del sys.argv[1]
        from skyrl.tinker import engine

        engine.main()
    else:
        serve()


def serve() -> None:
    """The HTTP side; it starts and ends the engine."""
    import uvicorn
    from skyrl.tinker import api, config

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    config.add_model(parser, config.EngineConfig)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = vars(parser.parse_args())
    chosen = {name: value for name, value in given.items() if name in config.EngineConfig.model_fields}
    api.app.state.engine_config = config.EngineConfig.model_validate(chosen)
    api._build_uv_run_cmd_engine = lambda parent, settings: [
        sys.executable,
        __file__,
        ENGINE,
        *config.config_to_argv(settings),
    ]
    uvicorn.run(CurrentProtocol(api.app), host=given["host"], port=given["port"], log_level="warning")


if __name__ == "__main__":
    main()
