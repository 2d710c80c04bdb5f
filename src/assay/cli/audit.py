"""`assay audit`."""

from typing import Annotated

from cyclopts import Parameter

EFFECTS = (0.02, 0.05, 0.10)


def audit_command(
    *,
    device: str = "cpu",
    suite: str = "starter",
    scale: str = "default",
    tasks: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = (),
    trials: int = 300,
    power_trials: int = 10,
    power_tasks: int = 3,
    quick: bool = False,
    skip: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = (),
    json: bool = False,
) -> int:
    """Run the controls on this machine: identical programs, programs of known speed, and the red team.

    Exit code 4 if more than 1% of identical programs are called faster or slower, a cheat is missed, or an honest twin
    is rejected.

    Parameters
    ----------
    device
        cpu, cuda or cuda:N.
    suite
        The suite whose references are the controls.
    scale
        Input sizes of the suite's tasks.
    tasks
        Ids of tasks (default: all), with commas or spaces between them.
    trials
        A/A evaluations in all.
    power_trials
        Evaluations of each known slowdown (2%, 5%, 10%) on each task, in each direction.
    power_tasks
        How many of the tasks the known slowdowns are tried on: those whose references take longest.
    quick
        40 A/A trials, 3 power trials on one task, and a short red team: about a minute on a CPU.
    skip
        Parts to leave out (aa, power, redteam), with commas or spaces between them.
    json
        One JSON document on stdout.

    """
    from assay.cli.audit_page import show
    from assay.cli.console import print_json, say
    from assay.cli.exits import THRESHOLD
    from assay.core.errors import UsageError
    from assay.evaluator.audit import audit
    from assay.evaluator.config import EvaluatorConfig
    from assay.evaluator.judge import Judge
    from assay.runs.devices import one_device
    from assay.tasks.suites import load_suite, select_tasks

    left_out = {name for text in skip for name in text.split(",") if name}
    if unknown := left_out - {"aa", "power", "redteam"}:
        raise UsageError(f"--skip {', '.join(sorted(unknown))}: the parts are aa, power and redteam")
    if len(left_out) == 3:
        raise UsageError("--skip leaves nothing to do; name one or two of aa, power and redteam")
    if min(trials, power_trials, power_tasks) < 1:
        raise UsageError("--trials, --power-trials and --power-tasks are at least 1; leave a part out with --skip")
    ids = [name for text in tasks for name in text.split(",") if name] or None
    chosen = select_tasks(load_suite(suite, scale), ids, None).tasks
    judge = Judge(one_device(device, "assay audit"), EvaluatorConfig(settle=True))
    try:
        report = audit(
            judge,
            chosen,
            aa_trials=0 if "aa" in left_out else 40 if quick else trials,
            effects=() if "power" in left_out else EFFECTS,
            power_trials=3 if quick else power_trials,
            power_tasks=1 if quick else power_tasks,
            redteam=None if "redteam" in left_out else "quick" if quick else "full",
            progress=lambda line: say(f"  {line}"),
        )
    finally:
        judge.close_now()
    if json:
        print_json(report.model_dump(mode="json"))
    else:
        show(report)
    return 0 if report.is_passed else THRESHOLD
