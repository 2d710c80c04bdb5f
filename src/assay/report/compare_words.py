"""What a comparison supports, in words: whether budgets match, who is ahead by what test, and what it would take."""

from collections.abc import Sequence
from math import ceil, log2

from assay.report.analysis_words import count, listed
from assay.report.compare_cut import TOLERANCE, Budget, BudgetLine
from assay.report.compare_tests import ALPHA, Contrast, ShareTest
from assay.stats.paired import McNemar
from assay.stats.power import mcnemar_in_words, sign_test_in_words, signed_rank_in_words


def contrast_in_words(contrast: Contrast, *, is_matched: bool) -> str:
    """What the numbers support of one side against the first: by tasks, by samples, and by speed."""
    said = [] if is_matched else ["The budgets differ, so none of this says that a method is better."]
    said.append(_success(contrast))
    equal = []
    if contrast.rate["verified"].test.p_value is None:
        equal.append("the rate of single samples")
    else:
        words = _share_words(contrast.rate["verified"], contrast)
        said.append(f"By the rate of single samples: {_inside(words)}")
    if contrast.speed.test.p_value is None:
        equal.append("the speedup left after measuring afresh")
    else:
        said.append(f"By what is left after measuring afresh: {_inside(_speed(contrast))}")
    if equal:
        said.append(f"By {' and by '.join(equal)} no task tells them apart.")
    if contrast.speed.left_out:
        left_out = count(contrast.speed.left_out, "task")
        said.append(f"Speed leaves {left_out} out, where what was picked was not measured again.")
    return " ".join(said)


def least_tasks() -> int:
    """How many tasks must differ, all one way, before an exact two-sided test can reach ALPHA."""
    return ceil(log2(2 / ALPHA))


def budget_refusal(names: Sequence[str], lines: Sequence[BudgetLine]) -> str:
    """Why sides with different budgets are not compared, and what to do."""
    (line,) = (line for line in lines if line.resource == "rollouts")
    shown = "; ".join(f"{name}: {_number(amount)}" for name, amount in zip(names, line.amounts, strict=True))
    return (
        f"the budgets differ: samples on the shared tasks are {shown}. A larger budget is no better method: cut all"
        f" runs to one spend with --at rollouts={int(min(line.amounts))}, or compare them as they are with --anyway."
    )


def budget_warnings(names: Sequence[str], lines: Sequence[BudgetLine], at: Budget | None) -> list[str]:
    """One sentence on everything that was spent in other amounts."""
    apart = [
        f"{line.resource.removesuffix('_s').replace('_', ' ')}{' seconds' if line.resource.endswith('_s') else ''}"
        f" ({' / '.join(map(_number, line.amounts))})"
        for line in lines
        if not line.is_matched and line.resource != (at.resource if at else "")
    ]
    if not apart:
        return []
    return [f"Spending differs by more than {TOLERANCE:.0%} in {listed(apart, 12)} of {' / '.join(names)}."]


def cut_notes(sides: Sequence, at: Budget | None) -> list[str]:
    """What a cut did to each side."""
    if at is None:
        return []
    said = []
    for side in sides:
        if side.is_averaged:
            said.append(
                f"{side.name} is cut to {count(side.samples, 'sample')} a task: shares are averages over all such"
                " subsets of its draw; tests and winners take the first ones drawn, and costs are in proportion."
            )
        elif side.is_cut:
            rounds = "round" if len(side.rounds) == 1 else f"{len(side.rounds)} rounds"
            said.append(f"{side.name} is cut to its first {rounds}.")
    return said


# -- parts ------------------------------------------------------------------------------------------------------


def _success(contrast: Contrast) -> str:
    words = _share_words(contrast.success["verified"], contrast)
    test = contrast.success["verified"].test
    if test.p_value is not None:
        return words
    tasks = test.n if isinstance(test, McNemar) else test.ties
    return (
        f"{words} An exact test can reach p = {ALPHA} once {least_tasks()} tasks differ, all in favour of one side;"
        f" there {'is' if tasks == 1 else 'are'} {count(tasks, 'task')} here."
    )


def _share_words(share: ShareTest, contrast: Contrast) -> str:
    if isinstance(share.test, McNemar):
        return mcnemar_in_words(share.test, contrast.other, contrast.first, adjusted_p=share.adjusted_p)
    return sign_test_in_words(share.test, contrast.other, contrast.first, adjusted_p=share.adjusted_p)


def _speed(contrast: Contrast) -> str:
    speed = contrast.speed
    return signed_rank_in_words(
        speed.test, speed.log_ratios, contrast.other, contrast.first, adjusted_p=speed.adjusted_p
    )


def _inside(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence.startswith(("Of ", "Over ")) else sentence


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 10 or amount == int(amount) else f"{amount:.1f}"
