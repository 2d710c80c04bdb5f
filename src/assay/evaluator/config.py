"""The evaluator's settings; the defaults are the recommended ones."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from assay.core.records import Record

Rule = Literal["assay", "kernelbench-fast", "kernelbench-full"]


class EvaluatorConfig(Record):
    """One judge's settings.

    rule: whose rule decides; `kernelbench-fast` and `-full` are the published one with 1 correctness and 5 timing
    trials, and with 5 and 50 (`kernelbench_mode.py`), for which the settings of pairs, looks and effects do not count.
    threads: CPU threads that a program may use; on a CPU they are pinned to as many cores. minimal_effect: smallest
    relative gain that may be called `faster`. alpha: two-sided error rate of the interval over all looks. pairs: timed
    (reference, candidate) pairs in each replicate; a replicate is a fresh process of each. looks: numbers of replicates
    after which the interval is looked at. settle: measure on what may be called slower too, and give up later what
    may be called faster. calibration_replicates: A/A replicates that the margin and the noise of a task are learnt
    from, once a device.
    """

    rule: Rule = "assay"
    threads: int = Field(default=1, ge=1)
    correctness_trials: int = Field(default=2, ge=1)
    pairs: int = Field(default=10, ge=4)
    looks: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2, 4, 8, 16)
    settle: bool = False
    calibration_replicates: int = Field(default=8, ge=3)
    minimal_effect: float = Field(default=0.01, ge=0)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    build_timeout_s: float = Field(default=300.0, gt=0)
    load_timeout_s: float = Field(default=120.0, gt=0)
    call_timeout_s: float = Field(default=20.0, gt=0)
    memory_mb: int = Field(default=4096, ge=64)
    file_mb: int = Field(default=256, ge=1)
    processes: int = Field(default=64, ge=1)  # alive at once while building

    @model_validator(mode="after")
    def _looks_ascend(self) -> Self:
        if not self.looks or list(self.looks) != sorted(set(self.looks)):
            raise ValueError("looks are replicate counts in ascending order, such as (1, 2, 4, 8, 16)")
        return self


DEFAULT_CONFIG = EvaluatorConfig()
