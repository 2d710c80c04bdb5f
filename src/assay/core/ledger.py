"""What was spent. One ledger for every method, so that methods can be compared at a matched budget."""

from typing import Self

from pydantic import Field

from assay.core.records import Record


class Spend(Record):
    """An amount of every resource; amounts add up. Seconds are wall-clock seconds of each phase."""

    rollouts: int = Field(default=0, ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    teacher_tokens: int = Field(default=0, ge=0)
    evaluations: int = Field(default=0, ge=0)
    timing_runs: int = Field(default=0, ge=0)
    updates: int = Field(default=0, ge=0)
    sampling_s: float = Field(default=0.0, ge=0)
    evaluation_s: float = Field(default=0.0, ge=0)
    training_s: float = Field(default=0.0, ge=0)
    dollars: float | None = Field(default=None, ge=0)

    def __add__(self, other: Self) -> "Spend":
        """Field by field; money is unknown only if it is unknown on both sides."""
        mine, theirs = self.model_dump(), other.model_dump()
        total = {name: mine[name] + theirs[name] for name in mine if name != "dollars"}
        known = [amount for amount in (self.dollars, other.dollars) if amount is not None]
        return Spend(**total, dollars=sum(known) if known else None)


class Ledger:
    """The running total of one run; owned by the run's store, which makes every entry durable."""

    def __init__(self, total: Spend | None = None) -> None:
        self._total = total or Spend()

    @property
    def total(self) -> Spend:
        """Everything spent so far."""
        return self._total

    def charge(self, spend: Spend) -> None:
        """Adds `spend` to the total."""
        self._total = self._total + spend
