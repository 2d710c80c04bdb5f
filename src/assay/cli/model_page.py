"""What `assay doctor --model` shows."""

from assay.cli.console import print_table, print_text
from assay.policies.probe_logprobs import ProbeReport
from assay.runs.model_check import ModelCheck


def show_model(check: ModelCheck) -> None:
    """The model's facts as a table, and the sample."""
    scores = f"yes, with up to {check.topk} alternatives" if check.topk else "yes" if check.can_score else "no"
    scores += f": {check.why_no_scores}" if check.why_no_scores else ""
    sample = check.sample
    mean = "none" if sample.mean_logprob is None else f"{sample.mean_logprob:.3f} a token"
    rows = [
        ("server", check.server or "none, it runs in this process"),
        ("device", check.device),
        ("ready after", f"{check.load_s:.1f} s"),
        ("prompts", check.prompt_kind),
        ("context", f"{check.context_tokens} tokens" if check.context_tokens else "not told"),
        ("scores given text", scores),
        ("trains", ", ".join(check.losses) if check.can_train else "no"),
        ("log-probabilities", _probe(check.probe, check.can_score)),
        ("a sample", f"{sample.completion_tokens} tokens after {sample.prompt_tokens} in {sample.seconds:.1f} s"),
        ("its log-probability", mean),
    ]
    print_table(check.model, ("what", "found"), rows)
    if sample.reasoning:
        print_text(f"\nIts reasoning about {sample.task_key}:\n{sample.reasoning}")
    print_text(f"\nIts answer to {sample.task_key}:\n{sample.text}")


def _probe(report: ProbeReport, can_score: bool) -> str:
    if report.verdict == "none":
        return "not tried"
    measured = (
        "" if report.gap is None else f" ({report.method}: {report.gap:.4f} nats apart over {report.tokens} tokens)"
    )
    repair = ", scored again where that matters" if report.verdict == "tempered" and can_score else ""
    return f"{report.verdict}{measured}{repair}"
