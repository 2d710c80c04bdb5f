"""`assay tasks SUITE`."""


def tasks_command(suite: str = "starter", /, *, scale: str = "default", json: bool = False) -> None:
    """List the tasks of a suite.

    Parameters
    ----------
    suite
        starter, kernelbench/1 .. /4, a folder of task files, or one file.
    scale
        Input sizes: default, or gpu (starter), small (all others).
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json, print_table
    from assay.tasks.suites import load_suite

    tasks = load_suite(suite, scale).tasks
    if json:
        print_json([{"key": t.key, "id": t.id, "name": t.name, "hash": t.hash, "warnings": t.warnings} for t in tasks])
    else:
        rows = [(task.id, task.name if task.name != task.id else "", "; ".join(task.warnings)) for task in tasks]
        print_table(f"{suite}: {len(tasks)} tasks", ("id", "name", "warnings"), rows)
