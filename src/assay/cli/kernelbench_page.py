"""The generations of a KernelBench run on the screen: their verdict and ours, side by side."""

from collections.abc import Sequence
from pathlib import Path

from assay.cli.console import print_json, print_table, print_text, say
from assay.cli.progress import speedup_words
from assay.core.records import Evaluation
from assay.report.evaluation import evaluation_document
from assay.runs.interchange import Compared, TheirResult, count


def narrated(one: Compared) -> None:
    """A line for the person who waits."""
    say(f"  problem {one.generation.problem}, sample {one.generation.sample}: {_ours(one.ours)}")


def show_compared(directory: Path, suite: str, compared: Sequence[Compared], *, as_json: bool) -> None:
    """One row a generation, and the counts; as JSON {"directory", "suite", "counts", "samples"}."""
    counts = count(compared)
    if as_json:
        samples = [_document(one) for one in compared]
        head = {"directory": str(directory), "suite": suite, "counts": counts.model_dump(mode="json")}
        print_json({**head, "samples": samples})
        return
    rows = [
        (one.generation.problem, str(one.generation.sample), *_theirs(one.generation.theirs), _ours(one.ours))
        for one in compared
    ]
    columns = ("problem", "sample", "theirs", "runtime", "ratio", "ours")
    print_table(f"{directory} ({suite})", columns, rows, right=("problem", "sample", "runtime", "ratio"))
    print_text(
        f"\nThe directory has results for {counts.with_result} of {counts.samples} samples: {counts.correct_theirs} are"
        f" correct by its results, {counts.correct_ours} by this evaluation ({counts.correct_theirs_only} only by its"
        f" results); {counts.fast_theirs} have a ratio above 1 there, {counts.faster_ours} the verdict `faster` here."
    )


def _document(one: Compared) -> dict[str, object]:
    theirs = one.generation.theirs
    return {
        "problem": one.generation.problem,
        "sample": one.generation.sample,
        "theirs": None if theirs is None else {**theirs.model_dump(mode="json"), "ratio": theirs.ratio},
        "ours": evaluation_document(one.ours),
    }


def _theirs(found: TheirResult | None) -> tuple[str, str, str]:
    """Result, runtime and ratio in words."""
    if found is None:
        return "-", "-", "-"
    word = "correct" if found.correctness else "wrong" if found.compiled else "not compiled"
    runtime = "-" if found.runtime_ms is None else f"{found.runtime_ms:.3g} ms"
    return word, runtime, "-" if found.ratio is None else f"{found.ratio:.2f}x"


def _ours(found: Evaluation) -> str:
    return speedup_words(found) if found.speedup is None else f"correct; {speedup_words(found)}"
