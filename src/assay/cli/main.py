"""The `assay` command: parses, calls, and turns errors into messages and exit codes."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError, Parameter

import assay
from assay.cli.analyze import analyze_command
from assay.cli.audit import audit_command
from assay.cli.compare import compare_command
from assay.cli.console import say_error
from assay.cli.demo import demo_command
from assay.cli.doctor import doctor_command
from assay.cli.eval import eval_command
from assay.cli.exits import FAILURE, INTERRUPTED, RESUMABLE, USAGE
from assay.cli.export import export_command
from assay.cli.models import models_command
from assay.cli.optimize import optimize_command
from assay.cli.probe import probe_command
from assay.cli.report import report_command
from assay.cli.resume import resume_command
from assay.cli.run import (
    best_of_n,
    discovery,
    refinement,
    reinforcement_learning,
    self_distillation,
    test_time_training,
)
from assay.cli.select import select_command
from assay.cli.split import split_command
from assay.cli.tasks import tasks_command
from assay.cli.transfer import transfer_command
from assay.cli.view import view_command
from assay.core.environment import adopt_env_file
from assay.core.errors import AssayError, Interrupted, UsageError

app = App(
    name="assay",
    help="Best-of-N and test-time training of code models, with speedups that survive an A/A test.",
    version=assay.__version__,
    result_action="return_value",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,  # its message says how to go on
)
run_app = App(name="run", help="Run a strategy: sample, evaluate, store.")
run_app.command(best_of_n, name="best-of-n")
run_app.command(test_time_training, name="ttt")
run_app.command(self_distillation, name="sdpo")
run_app.command(reinforcement_learning, name="rlvr")
run_app.command(refinement, name="refine")
run_app.command(discovery, name="discover")
app.command(demo_command, name="demo")
app.command(run_app)
app.command(resume_command, name="resume")
app.command(optimize_command, name="optimize")
app.command(eval_command, name="eval")
app.command(audit_command, name="audit")
app.command(select_command, name="select")
app.command(analyze_command, name="analyze")
app.command(probe_command, name="probe")
app.command(transfer_command, name="transfer")
app.command(compare_command, name="compare")
app.command(view_command, name="view")
app.command(tasks_command, name="tasks")
app.command(split_command, name="split")
app.command(report_command, name="report")
app.command(export_command, name="export")
app.command(models_command, name="models")
app.command(doctor_command, name="doctor")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    try:
        adopt_env_file(Path())
        code = app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        error.verbose = False
        say_error(f"{error}\nassay --help shows what can be done.")
        return USAGE
    except UsageError as error:
        say_error(str(error))
        return USAGE
    except Interrupted as error:
        say_error(str(error))
        return RESUMABLE
    except AssayError as error:
        say_error(str(error))
        return FAILURE
    except KeyboardInterrupt as stop:
        say_error(str(stop) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`assay tasks starter | head`); Python's own flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
