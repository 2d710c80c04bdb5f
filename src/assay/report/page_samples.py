"""The samples of a run as the page carries them: every number of every sample, and code and tokens within a budget.

Where a run holds more text than a page should, the texts that are left out are those of the least telling samples, task
by task alike: kept first are the program that is reported, then what is faster, then what is correct, then the rest in
drawn order. The numbers stay complete, and a program that is left out is still in the run's folder `candidates`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from tokenizers import Tokenizer

from assay.core.records import Attempt, Evaluation, Status, Task, Verdict
from assay.report.page_tokens import find_tokenizer, packed_lengths, packed_surprisals, piece_lengths
from assay.runs.schema import Purpose
from assay.runs.store import PoolColumns, RunStore
from assay.runs.winners import pick_fastest

TEXT_BUDGET = 4_000_000
TEXT_LIMIT, SOURCE_LIMIT, ERROR_LIMIT, TOKEN_LIMIT = 20_000, 40_000, 4_000, 4_000
BRIEF_ERROR = 160  # of an error whose program is left out
SAMPLE_COLUMNS = ("round", "index", "program", "tokens", "surprisal", "reward", "status")
EVALUATION_FIELDS = (
    *("status", "verdict", "ratio", "low", "high", "raw", "margin", "effect", "pairs", "replicates"),
    *("candidate_ms", "reference_ms", "seconds", "load", "flags", "error", "where", "log_ratios", "witness"),
)


@dataclass
class TaskPages:
    """One task of one run on its way into the page. columns: of all its samples. texts: by row, those that are kept.

    attempts: by (round, index); sources: programs by hash, those that are kept.
    """

    task: Task
    prompt: str
    columns: PoolColumns
    attempts: dict[tuple[int, int], Attempt]
    looks: dict[str, Evaluation]
    again: dict[str, Evaluation]
    controls: list[Evaluation]
    texts: dict[int, dict[str, Any]]
    sources: dict[str, str]

    def by_worth(self) -> list[int]:
        """Rows, the most telling one first."""
        reported = {one.candidate_hash for one in pick_fastest(list(self.looks.values()), 1)} | set(self.again)
        columns = self.columns

        def rank(row: int) -> tuple[bool, bool, bool, int]:
            is_faster = columns.verdict[row] == Verdict.FASTER
            is_correct = columns.status[row] == Status.CORRECT
            return columns.candidate_hash[row] not in reported, not is_faster, not is_correct, row

        return sorted(range(len(columns.status)), key=rank)


def sample_pages(stores: Sequence[tuple[str, RunStore]], budget: int = TEXT_BUDGET) -> list[dict[str, Any]]:
    """The samples of all runs, one document a run: its name, the tables that tasks point into, and its tasks."""
    runs = [(name, store, [_read(store, task) for task in store.tasks()]) for name, store in stores]
    tokenizers = {name: find_tokenizer(str(store.config.get("model", ""))) for name, store, _ in runs}
    _fill([(page, tokenizers[name]) for name, _, pages in runs for page in pages], budget)
    documents = []
    for name, _, pages in runs:
        places: dict[str, int] = {}
        tasks = [_document(page, places) for page in pages]
        documents.append({"run": name, "places": list(places), "tasks": tasks})
    return documents


def _read(store: RunStore, task: Task) -> TaskPages:
    attempts = store.attempts(task.key, leave_out_unevaluated=True)
    prompts = dict.fromkeys(one.sample.prompt_hash for one in attempts)
    prompt = store.prompt(next(iter(prompts))) if prompts else None
    said = "" if prompt is None else prompt.text or "\n\n".join(f"[{m.role}]\n{m.content}" for m in prompt.messages)
    return TaskPages(
        task=task,
        prompt=said + ("" if prompt is None or not prompt.prefill else f"\n[begun for it]\n{prompt.prefill}"),
        columns=store.pool_columns(task_key=task.key),
        attempts={(one.sample.round, one.sample.index): one for one in attempts},
        looks={str(one.candidate_hash): one for one in store.evaluations(Purpose.SEARCH, task.key)},
        again={str(one.candidate_hash): one for one in store.evaluations(Purpose.SELECTED, task.key)},
        controls=store.evaluations(Purpose.CONTROL, task.key),
        texts={},
        sources={},
    )


# -- texts within the budget ------------------------------------------------------------------------------------


def _fill(pages: Sequence[tuple[TaskPages, Tokenizer | None]], budget: int) -> None:
    """Keeps texts of one more sample of each task in turn until the budget is used."""
    left = budget
    for page, tokenizer, row in _in_turn(pages):
        columns = page.columns
        attempt = page.attempts.get((columns.round[row], columns.index[row]))
        if attempt is None:
            continue
        text = _text(attempt, tokenizer)
        cost = len(text["text"]) + len(text["surprisals"]) + len(text["pieces"] or "") + 60
        source = attempt.candidate and attempt.candidate.source
        is_new = source is not None and columns.candidate_hash[row] not in page.sources
        if is_new and source:
            cost += len(source[:SOURCE_LIMIT]) + len(attempt.evaluation.error[:ERROR_LIMIT])
        if cost > left:
            return
        left -= cost
        page.texts[row] = text
        if is_new and source:
            page.sources[str(columns.candidate_hash[row])] = source


def _in_turn(
    pages: Sequence[tuple[TaskPages, Tokenizer | None]],
) -> Iterator[tuple[TaskPages, Tokenizer | None, int]]:
    orders = [(page, tokenizer, page.by_worth()) for page, tokenizer in pages]
    for place in range(max((len(order) for _, _, order in orders), default=0)):
        for page, tokenizer, order in orders:
            if place < len(order):
                yield page, tokenizer, order[place]


def _text(attempt: Attempt, tokenizer: Tokenizer | None) -> dict[str, Any]:
    completion = attempt.sample.completion
    is_whole = len(completion.text) <= TEXT_LIMIT and len(completion.tokens) <= TOKEN_LIMIT
    pieces = piece_lengths(tokenizer, completion.tokens, completion.text) if tokenizer and is_whole else None
    return {
        "text": shortened(completion.text, TEXT_LIMIT),
        "surprisals": packed_surprisals(completion.logprobs[:TOKEN_LIMIT]),
        "pieces": None if pieces is None else packed_lengths(pieces),
        "stop": str(completion.stop_reason),
        "failure": attempt.evaluation.error if attempt.candidate is None else "",
    }


def shortened(text: str, limit: int) -> str:
    """The beginning of a text that is too long for a page, with a line that says how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n[... {len(text) - limit:,} more characters]"


# -- as documents -----------------------------------------------------------------------------------------------


def _document(page: TaskPages, places: dict[str, int]) -> dict[str, Any]:
    columns = page.columns
    hashes = list(dict.fromkeys(one for one in columns.candidate_hash if one is not None))
    numbers = {one: number for number, one in enumerate(hashes)}
    status = columns.status
    rows = {
        "round": columns.round,
        "index": columns.index,
        "program": [-1 if one is None else numbers[one] for one in columns.candidate_hash],
        "tokens": columns.n_tokens,
        "surprisal": [None if one is None else _short(-one) for one in columns.mean_logprob],
        "reward": [_short(one) for one in columns.reward],
        "status": [None if one is None else str(one) for one in status],
    }
    return {
        "key": page.task.key,
        "name": page.task.name,
        "warnings": list(page.task.warnings),
        "reference": shortened(page.task.source, SOURCE_LIMIT),
        "prompt": shortened(page.prompt, TEXT_LIMIT),
        "samples": rows,
        "texts": [page.texts.get(row) for row in range(len(status))],
        "programs": [
            {
                "hash": one,
                "source": shortened(page.sources[one], SOURCE_LIMIT) if one in page.sources else None,
                "look": _evaluation(page.looks.get(one), places, ERROR_LIMIT if one in page.sources else BRIEF_ERROR),
                "again": _evaluation(page.again.get(one), places),
            }
            for one in hashes
        ],
        "controls": [_evaluation(one, places) for one in page.controls],
    }


def _evaluation(one: Evaluation | None, places: dict[str, int], error_limit: int = ERROR_LIMIT) -> list[Any] | None:
    """The values of `EVALUATION_FIELDS`. where: the number of the device and sandbox in the run's `places`."""
    if one is None:
        return None
    speed, facts = one.speedup, one.provenance.facts
    where = f"{one.provenance.device}; sandbox: {', '.join(one.provenance.sandbox) or 'none'}"
    times = [None] * 8
    if speed is not None:
        numbers = (speed.ratio, speed.low, speed.high, speed.raw, speed.margin, speed.minimal_effect)
        times = [*map(_short, numbers), speed.pairs, speed.replicates]
    return [
        *(str(one.status), None if one.verdict is None else str(one.verdict), *times),
        *map(_short, (one.candidate_ms, one.reference_ms, one.seconds, _number(facts.get("load_average")))),
        *(", ".join(one.flags), shortened(one.error, error_limit), places.setdefault(where, len(places))),
        _log_ratios(facts.get("pairs_us")),
        _witness(facts.get("witness")),
    ]


def _log_ratios(pairs_us: object) -> list[list[float | None]] | None:
    """log(reference / candidate) of each timed pair, a list a replicate; None where they were not kept."""
    if not isinstance(pairs_us, list) or not pairs_us:
        return None
    return [[_log_ratio(pair) for pair in replicate] for replicate in pairs_us if isinstance(replicate, list)]


def _log_ratio(pair: object) -> float | None:
    match pair:
        case [int() | float() as reference, int() | float() as candidate] if reference > 0 and candidate > 0:
            return round(log(reference / candidate), 4)
        case _:
            return None


def _witness(witness: object) -> list[float | None] | None:
    """Pairs of bare calls, the share of the reference's time that the judge's own clock saw saved, its standard error.

    None where the judge's clock was not asked: only what would be called faster is held against it.
    """
    if not isinstance(witness, dict):
        return None
    return [_short(_number(witness.get(name))) for name in ("pairs", "seen_share", "error")]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _short(value: float | None) -> float | None:
    """Five significant digits: more than a picture shows, and a third of the bytes."""
    return None if value is None else float(f"{value:.5g}")
