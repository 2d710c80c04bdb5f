"""One evaluation as the document of `assay eval --json`."""

from typing import Any

from assay.core.records import Evaluation

SPEEDUP_KEYS = ("ratio", "low", "high", "margin", "pairs", "replicates", "raw", "minimal_effect", "level")


def evaluation_document(found: Evaluation) -> dict[str, Any]:
    """The keys are a contract; more may be added. speedup and verdict are None unless the program is correct."""
    speedup = found.speedup and {key: getattr(found.speedup, key) for key in SPEEDUP_KEYS}
    return {
        "status": str(found.status),
        "flags": list(found.flags),
        "verdict": None if found.verdict is None else str(found.verdict),
        "speedup": speedup,
        "candidate_ms": found.candidate_ms,
        "reference_ms": found.reference_ms,
        "sandbox": list(found.provenance.sandbox),
        "device": found.provenance.device,
        "evaluator": found.provenance.evaluator,
        "task": found.task_key,
        "error": found.error,
    }
