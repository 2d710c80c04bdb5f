"""`assay probe RUN`."""

import sys
from pathlib import Path


def probe_command(
    run: Path,
    /,
    *,
    pool: Path | None = None,
    steps: str | None = None,
    model_device: str | None = None,
    json: bool = False,
) -> None:
    """Over-sharpening: score one fixed pool of samples under every checkpoint of a run; surprisal against speedup.

    What is scored is stored in the run's directory: the same command goes on after an interruption, and with everything
    there only shows it. The tokens are charged to the probe and not to the run.

    Parameters
    ----------
    run
        Directory of a run that trained.
    pool
        Directory of the run whose round 0 is scored, of the same model; default: the run's own.
    steps
        Steps with commas between them, as 0,2,5; default: all whose weights are there. Step 0 is what the run began
        with, step s what the update after round s - 1 left.
    model_device
        Device of the model; default: as in the run.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json, say
    from assay.cli.probe_page import show_probe
    from assay.cli.progress import Narrator
    from assay.cli.session import drive, terminable
    from assay.report.probe import probe_table
    from assay.runs.build import load_policy
    from assay.runs.config import stored_config
    from assay.runs.probe import PROBE_FOLDER, ProbeStep, check_probe, missing, probe, read_pool, stored_probes
    from assay.runs.store import RunStore

    scorable = read_pool(pool or run)
    starts = check_probe(run, scorable.pool, _numbers(steps))
    if todo := missing(run, scorable.pool, starts):
        with RunStore.open(run) as store:
            config = stored_config(store.config, run)
        if model_device is not None:
            config = config.model_copy(update={"model_device": model_device})

        def observe(found: ProbeStep, done: int, of: int) -> None:
            spent = found.spend
            say(f"step {found.step}: {len(found.sums)} samples scored in {spent.training_s:.1f} s ({done} of {of})")

        with Narrator() as narrator, terminable():
            policy = load_policy(config, narrator.loading)
        samples = len(scorable.pool.samples)
        say(f"scoring {samples} samples of {scorable.pool.run} under {len(todo)} checkpoints of {run}")
        again = f"Go on with the same command: {' '.join(['assay', *sys.argv[1:]])}"
        drive(probe(run, scorable, todo, policy, observe), run / PROBE_FOLDER, again)
    wanted = {start.step for start in starts}
    found = next(one for one in stored_probes(run) if one.pool.key == scorable.pool.key)
    table = probe_table(run, found.at(wanted))
    if json:
        print_json(table)
    else:
        show_probe(table)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    from assay.core.errors import UsageError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--steps {text}: write whole numbers with commas between them, as 0,2,5")
    return tuple(int(part) for part in parts)
