"""Which programs of a task may come to be reported for their speed, and so are measured again."""

from collections.abc import Sequence

from assay.core.records import Evaluation


def pick_fastest(evaluations: Sequence[Evaluation], most: int) -> list[Evaluation]:
    """At most `most` evaluations of one task whose speed may come to be reported, first the one that will be.

    Those with verdict `faster` by descending lower bound, then the correct one with the highest point estimate: without
    a `faster` one it is what is reported; with one, it is what a rule without intervals would have reported.
    """
    correct = [e for e in evaluations if e.speedup is not None]
    by_bound = sorted((e for e in correct if e.is_verified_faster), key=_low, reverse=True)
    highest = max(correct, key=_ratio, default=None)
    if highest is None:
        return []
    picked = by_bound[:most]
    return picked if highest in picked else [*by_bound[: max(1, most - 1)], highest][:most]


def _low(evaluation: Evaluation) -> float:
    return evaluation.speedup.low if evaluation.speedup else 0.0


def _ratio(evaluation: Evaluation) -> float:
    return evaluation.speedup.ratio if evaluation.speedup else 0.0
