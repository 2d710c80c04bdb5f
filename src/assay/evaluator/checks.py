"""What a candidate must pass before and while it is timed: lock-down, room for the reference, correctness."""

from collections.abc import Callable

import torch

from assay.core.records import Status
from assay.evaluator.correctness import mismatch, same_bits
from assay.evaluator.exchange import Exchange
from assay.evaluator.processes import Runner
from assay.evaluator.progress import Ended
from assay.evaluator.session import Session


def lock_down(runner: Runner) -> None:
    """Takes away new processes, and verifies it from outside: the runner's own word is worth nothing."""
    flag = ("background_process",)
    if "seccomp" in runner.tiers:
        filters = runner.filter_count()
        reply = runner.ask("lock_down")
        if reply.error or runner.filter_count() <= filters:
            raise Ended(Status.REJECTED, "the runner evaded the lock-down", flag)
    if runner.has_children():
        raise Ended(Status.REJECTED, "the program left processes behind when it was loaded", flag)


def require_room(session: Session) -> None:
    """A program that has taken the device's memory would make the reference fail, not itself."""
    free_bytes, needed_bytes = session.free_bytes(), session.reference.peak_bytes
    if free_bytes is not None and free_bytes < needed_bytes:
        text = f"the program leaves {free_bytes >> 20} MB of device memory, the reference needs {needed_bytes >> 20} MB"
        raise Ended(Status.REJECTED, text, ("memory",))


def check_outputs(exchange: Exchange, session: Session) -> None:
    """Correctness trials: outputs, and inputs left as the reference leaves them."""
    for trial in session.trials():
        exchange.call(trial.inputs)
        error = mismatch(exchange.outputs, trial.expected, trial.own_errors)
        if error:
            raise Ended(Status.WRONG_OUTPUT, error)
        left = trial.inputs if trial.mutated is None else trial.mutated
        for index, (now, before) in enumerate(zip(exchange.inputs, left, strict=True)):
            if not same_bits(now, before):
                text = f"input {index} is not left as the reference leaves it"
                raise Ended(Status.REJECTED, text, ("mutates_input",))


def timed_check(session: Session) -> Callable[[list[torch.Tensor], list[torch.Tensor]], None]:
    """Verifies an output of a timed call against the reference's output of the same call."""

    def check(actual: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
        error = mismatch(actual, expected, session.own_errors)
        if error:
            raise Ended(Status.WRONG_OUTPUT, f"in a timed call: {error}", ("wrong_when_timed",))

    return check
