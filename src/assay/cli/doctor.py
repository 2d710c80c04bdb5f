"""`assay doctor`."""

from typing import Annotated

from cyclopts import Parameter

from assay.cli.exits import FAILURE


def doctor_command(
    *,
    model: str | None = None,
    device: str | None = None,
    set: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    json: bool = False,
) -> int:
    """Say what this machine has, and what to install for what is missing. Exit code 1 if Assay cannot run here.

    Parameters
    ----------
    model
        Try out this model instead: load it or connect to its server, prove its log-probabilities, draw one sample.
    device
        What a local model runs on: cpu, cuda:N, or auto (default).
    set
        Any setting of a run that concerns the model: --set prompt.kind=chat; may be given several times.
    json
        One JSON document on stdout.

    """
    if model is not None:
        return _try_model(model, device, set, json)
    from assay.cli.console import print_json, print_table
    from assay.runs.machine import findings

    found = findings()
    if json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        marks = {"good": "ok", "limited": "limited", "missing": "missing"}
        print_table("This machine", ("", "what", "found"), [(marks[f.state], f.what, f.found) for f in found])
        advice = [(one.what, one.advice) for one in found if one.advice]
        if advice:
            print_table("\nWhat would help", ("what", "advice"), advice)
    return FAILURE if any(one.state == "missing" and one.is_required for one in found) else 0


def _try_model(model: str, device: str | None, set: tuple[str, ...], json: bool) -> int:
    from assay.cli.console import print_json
    from assay.cli.model_page import show_model
    from assay.cli.progress import Narrator
    from assay.cli.session import terminable
    from assay.runs.config import load_config
    from assay.runs.model_check import check_model

    config = load_config(None, {"model": model, "device": device}, set)
    with Narrator() as narrator, terminable():
        check = check_model(config, narrator.loading)
    if json:
        print_json(check)
    else:
        show_model(check)
    return 0
