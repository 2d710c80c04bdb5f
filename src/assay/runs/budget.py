"""A limit on what the search of a run may spend, so that strategies can be compared at an equal spend.

Counted is what the method itself spends: sampling, first looks at programs, learning. Identical copies of references,
and the winners' measurements afterwards, belong to the judging of the outcome, are the same for every method, and are
charged to the ledger but not to the budget.
"""

from typing import Self

from pydantic import Field, model_validator

from assay.core.errors import UsageError
from assay.core.ledger import Spend
from assay.core.records import Record


class Budget(Record):
    """At most so much of each; None is no limit. tokens: prompt + completion + teacher tokens, a prompt counted once
    for each of its samples. seconds: of sampling + evaluation + learning, also where two of them overlap.

    rollouts and evaluations are met exactly. The others end a run at the first chunk of samples, or evaluation, by
    which they are reached, and so may be passed by as much as that one costs.
    """

    rollouts: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    evaluations: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.limits:
            raise ValueError("a budget names at least one of rollouts, tokens, evaluations, seconds")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The limits that there are, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}

    def reached(self, spent: Spend) -> str | None:
        """The name of the first limit that `spent` has reached; None while there is something left of all."""
        used = amounts(spent)
        return next((name for name, limit in self.limits.items() if used[name] >= limit), None)

    def left(self, name: str, spent: Spend) -> float:
        """What is left of one limit, at least 0; infinite where there is none."""
        return max(0, self.limits.get(name, float("inf")) - amounts(spent)[name])


def amounts(spent: Spend) -> dict[str, float]:
    """A spend in the terms of a budget."""
    return {
        "rollouts": spent.rollouts,
        "tokens": spent.prompt_tokens + spent.completion_tokens + spent.teacher_tokens,
        "evaluations": spent.evaluations,
        "seconds": spent.sampling_s + spent.evaluation_s + spent.training_s,
    }


def parse_budget(text: str) -> dict[str, float]:
    """`rollouts=320,tokens=1e6` as limits by name. UsageError for anything else."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator or name not in Budget.model_fields or name in found:
            raise UsageError(
                f"--budget {text}: write rollouts=N, tokens=N, evaluations=N or seconds=N, with commas between them"
            )
        try:
            number = float(value)
        except ValueError:
            raise UsageError(f"--budget {text}: {value!r} is no number") from None
        found[name] = int(number) if number.is_integer() else number
    return found


def budget_words(budget: Budget) -> str:
    """The limits in a few words."""
    return ", ".join(
        f"{value:,.0f} {name}" if value >= 1 else f"{value:g} {name}" for name, value in budget.limits.items()
    )
