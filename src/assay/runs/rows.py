"""Records as rows of the store's tables, and back."""

import json

from assay.core.records import Candidate, Evaluation, ParseFailure, Provenance, Sample, Status
from assay.runs.blobs import pack_logprobs, pack_tokens, unpack_logprobs, unpack_tokens
from assay.runs.schema import Purpose
from assay.selection.pool import bottom_logprob

_BLOBS = {"completion": {"tokens", "logprobs"}}


def sample_row(sample: Sample, outcome: Candidate | ParseFailure) -> tuple:
    """The values of a row of `samples`, in the order of its columns; the reward is not known yet."""
    candidate_hash, failure = (outcome.hash, None) if isinstance(outcome, Candidate) else (None, outcome.reason)
    where = (sample.round, sample.task_key, sample.index, sample.snapshot_id, sample.prompt_hash, sample.prompt_tokens)
    logprobs = (sample.sum_logprob, sample.mean_logprob, bottom_logprob(sample.completion.logprobs))
    numbers = (sample.n_tokens, *logprobs, str(sample.completion.stop_reason))
    blobs = (pack_tokens(sample.completion.tokens), pack_logprobs(sample.completion.logprobs))
    return (*where, *numbers, candidate_hash, failure, None, *blobs, sample.model_dump_json(exclude=_BLOBS))


def read_sample(tokens: bytes, logprobs: bytes, record: str) -> Sample:
    """The sample of a row."""
    fields = json.loads(record)
    ids = unpack_tokens(tokens)
    fields["completion"] |= {"tokens": ids, "logprobs": unpack_logprobs(logprobs, len(ids))}
    return Sample.model_validate(fields)


def evaluation_row(evaluation: Evaluation, purpose: Purpose) -> tuple:
    """The values of a row of `evaluations`, in the order of its columns."""
    speedup = evaluation.speedup
    times = (speedup.ratio, speedup.low, speedup.high, speedup.raw) if speedup else (None,) * 4
    outcome = (str(evaluation.status), None if evaluation.verdict is None else str(evaluation.verdict))
    key = (evaluation.task_key, evaluation.candidate_hash, str(purpose))
    return (*key, *outcome, *times, evaluation.timed_calls, evaluation.seconds, evaluation.model_dump_json())


def unparsed(task_key: str, reason: str) -> Evaluation:
    """The evaluation of a completion that gave no candidate: nothing was run, so no device is named."""
    return Evaluation(
        task_key=task_key,
        candidate_hash=None,
        status=Status.PARSE_ERROR,
        error=reason,
        provenance=Provenance(device="none"),
    )
