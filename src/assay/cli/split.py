"""`assay split SUITE`."""

from pathlib import Path


def split_command(
    suite: str,
    /,
    *,
    seed: int = 42,
    train_fraction: float = 0.8,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Divide a suite into a train and an eval half by the published rule; `assay run --split FILE` takes the file.

    Parameters
    ----------
    suite
        starter, kernelbench/1 .. /4, or a folder of task files.
    seed
        Seed of the shuffle (default: the published one); the same suite and seed always give the same halves.
    train_fraction
        Share of the tasks that train.
    out
        File to write; without it the split goes to stdout.
    json
        One JSON document on stdout, also with --out.

    """
    from assay.cli.console import print_json, print_text, say
    from assay.tasks.splits import make_split, split_document, write_split
    from assay.tasks.suites import load_suite

    found = load_suite(suite)
    split = make_split(found.name, [task.id for task in found.tasks], seed, train_fraction)
    if out is not None:
        write_split(split, out)
        say(f"{out}: {len(split.train)} train, {len(split.eval)} eval, hash {split.hash}")
    if out is None or json:
        print_json(split_document(split))
    else:
        print_text(f"eval: {', '.join(split.eval)}")
