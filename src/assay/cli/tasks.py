"""`assay tasks SUITE`."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from assay.evaluator.task_audit import TaskAudit


def tasks_command(
    suite: str = "starter",
    /,
    *,
    scale: str = "default",
    tasks: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    limit: int | None = None,
    offset: int = 0,
    audit: bool = False,
    device: str = "cpu",
    json: bool = False,
) -> None:
    """List the tasks of a suite, or audit whether they can tell a program from an answer that knows nothing.

    Parameters
    ----------
    suite
        starter, kernelbench/1 .. /4, a folder of task files, or one file.
    scale
        Input sizes: default, or gpu (starter), small (all others).
    tasks
        Ids of tasks (default: all), with commas or spaces between them.
    limit
        At most so many tasks.
    offset
        Leave out so many tasks first.
    audit
        Run each reference, in this process, and report accepted null answers, inputs without effect, constant or
        nondeterministic outputs, sizes that do not fit, and times below the noise floor.
    device
        cpu, cuda, cuda:N or auto: what the references are audited on.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json, print_table
    from assay.tasks.suites import load_suite, select_tasks

    ids = None if tasks is None else [name for text in tasks for name in text.split(",") if name]
    chosen = select_tasks(load_suite(suite, scale), ids, limit, offset).tasks
    if audit:
        from assay.cli.console import say
        from assay.evaluator.task_audit import audit_task
        from assay.runs.devices import device_named, one_device

        place, audits = device_named(one_device(device, "assay tasks --audit")), []
        for task in chosen:
            audits.append(audit_task(task, place))
            say(f"  {task.key}: {'; '.join(audits[-1].warnings) or 'fit'}")
        _show(suite, audits, as_json=json)
    elif json:
        print_json([{"key": t.key, "id": t.id, "name": t.name, "hash": t.hash, "warnings": t.warnings} for t in chosen])
    else:
        rows = [(task.id, task.name if task.name != task.id else "", "; ".join(task.warnings)) for task in chosen]
        print_table(f"{suite}: {len(chosen)} tasks", ("id", "name", "warnings"), rows)


def _show(suite: str, audits: "list[TaskAudit]", *, as_json: bool) -> None:
    """The findings; as JSON a list of records, with what follows from each."""
    from assay.cli.console import print_json, print_table

    if as_json:
        derived = ("is_fit", "is_below_noise_floor", "warnings", "published_warnings")
        print_json(
            [{**one.model_dump(mode="json"), **{name: getattr(one, name) for name in derived}} for one in audits]
        )
        return
    rows = [
        (
            one.task_key,
            "yes" if one.is_fit else "no",
            "-" if one.call_us is None else f"{one.call_us / 1e3:.3g} ms",
            "; ".join((*one.warnings, *one.published_warnings)),
        )
        for one in audits
    ]
    print_table(
        f"{suite}: {sum(one.is_fit for one in audits)} of {len(audits)} tasks are fit",
        ("task", "fit", "a call", "findings"),
        rows,
        right=("a call",),
    )
