"""`assay doctor`."""

from assay.cli.exits import FAILURE


def doctor_command(*, json: bool = False) -> int:
    """Say what this machine has, and what to install for what is missing. Exit code 1 if Assay cannot run here.

    Parameters
    ----------
    json
        One JSON document on stdout.

    """
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
