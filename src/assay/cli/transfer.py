"""`assay transfer RUN`."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from assay.core.errors import UsageError

if TYPE_CHECKING:
    from assay.report.transfer import TransferTable
    from assay.runs.config import TaskFilter
    from assay.runs.transfer import Side, Transfer


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """Which tasks of the run's suite; default: all that the run did not learn from."""

    tasks: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None
    """Ids of tasks, with commas or spaces between them."""
    split: str | None = None
    """seed:N for the published rule, or the file of a split."""
    part: Literal["train", "eval"] | None = None
    """The half of the split (default eval)."""
    subset: int | None = None
    """The n-th five of the chosen tasks."""
    limit: int | None = None
    """At most so many tasks."""
    offset: int | None = None
    """Leave out so many tasks first."""

    def given(self) -> dict[str, Any]:
        """What was given, as a `TaskFilter` has it."""
        found = {
            field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name) is not None
        }
        if "tasks" in found:
            found["ids"] = tuple(name for text in found.pop("tasks") for name in text.split(",") if name)
        return found


def transfer_command(
    run: Path,
    /,
    tasks: TaskOptions | None = None,
    *,
    other: Path | None = None,
    step: int | None = None,
    k: Annotated[int, Parameter(name=["-k", "--k"])] = 32,
    seed: int | None = None,
    device: str | None = None,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """What a run learned, on other tasks: its weights beside the unadapted model, at equally many samples.

    Each side is an ordinary best-of-n run in a folder of its own. The same command with --out goes on after an
    interruption, and with everything there only shows it.

    Parameters
    ----------
    run
        Directory of a run that trained.
    tasks
        Which tasks.
    other
        Directory of a second run: the first one's weights on the second one's tasks, and the other way round.
    step
        Step of the weights (default the last): 1 is what the first update left.
    k
        Samples of each task on each side (default 32).
    seed
        Seed of the sampling; default: that of the run.
    device
        What programs are timed on, and what the model runs on; default: as in the run.
    out
        Directory of the runs; default: a new one under runs/.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json
    from assay.cli.options import new_directory
    from assay.cli.transfer_page import show_transfer
    from assay.runs.transfer import Wanted, check_side, plan_transfer, tasks_of

    given = (tasks or TaskOptions()).given()
    folder = new_directory(out, "transfer")
    if other is not None and given:
        raise UsageError("--other takes the tasks of the two runs: leave --tasks, --split and the like out")
    if other is None:
        plans = [plan_transfer(run, Wanted(_filter(given), k, step, seed, device), folder)]
    else:
        pairs = ((run, other, "there"), (other, run, "back"))
        plans = [
            plan_transfer(one, Wanted(tasks_of(two), k, step, seed, device), folder / name) for one, two, name in pairs
        ]
    for side in (side for plan in plans for side in plan.sides):
        check_side(side)
    for plan in plans:
        for side in plan.sides:
            _perform(side, folder)
    tables = [_table(plan) for plan in plans]
    if json:
        print_json({"transfers": [table.model_dump(mode="json") for table in tables]})
    else:
        for table in tables:
            show_transfer(table)


def _filter(given: dict[str, Any]) -> "TaskFilter | None":
    from pydantic import ValidationError

    from assay.runs.config import TaskFilter

    try:
        return TaskFilter.model_validate(given) if given else None
    except ValidationError as error:
        raise UsageError("; ".join(str(one["msg"]) for one in error.errors())) from None


def _table(plan: "Transfer") -> "TransferTable":
    from assay.report.transfer import transfer_table

    return transfer_table(plan.run, plan.step, plan.base.directory, plan.adapted.directory, plan.trained)


def _perform(side: "Side", folder: Path) -> None:
    """One side, from its beginning or from where it was left; nothing where it is complete."""
    from assay.cli.console import say
    from assay.cli.launch import plan_words
    from assay.cli.progress import Narrator
    from assay.cli.session import drive, terminable
    from assay.runs.database import holds_run
    from assay.runs.lifecycle import begin, go_on, load_tools, unfinished
    from assay.runs.plan import plan_run

    is_begun = holds_run(side.directory)
    if is_begun and unfinished(side.directory) is None:
        return
    say(f"{side.directory}\n{plan_words(plan_run(side.config, side.tasks))}")
    with Narrator() as narrator:
        with terminable():
            tools = load_tools(side.config, narrator.loading)
        work = (
            go_on(side.directory, tools, sys.argv, narrator.observe)
            if is_begun
            else begin(side.config, side.tasks, side.directory, tools, sys.argv, narrator.observe)
        )
        drive(work, side.directory, f"Go on with the same command and --out {folder}")
