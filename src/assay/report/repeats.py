"""How many samples of a run repeat the reference, round by round: a model that learns this wins nothing."""

from collections.abc import Sequence

from assay.core.records import Record, Status
from assay.prompting.repeats import ReferenceCode
from assay.runs.store import PoolColumns, RunStore


class RoundRepeats(Record):
    """Samples of a round, and those of them whose program is the reference's own code under another name."""

    round: int
    samples: int
    repeats: int


def round_repeats(store: RunStore, columns: PoolColumns) -> tuple[RoundRepeats, ...]:
    """One entry a round. Programs that are not correct repeat nothing, and are not read."""
    references = {task.key: ReferenceCode(task.source) for task in store.tasks()}
    known: dict[tuple[str, str], bool] = {}
    counts: dict[int, list[int]] = {}
    for round, key, candidate, status in zip(
        columns.round, columns.task_key, columns.candidate_hash, columns.status, strict=True
    ):
        count = counts.setdefault(round, [0, 0])
        count[0] += 1
        if candidate is None or status not in (None, Status.CORRECT):
            continue
        if (key, candidate) not in known:
            known[key, candidate] = references[key].is_repeated_by(store.candidate(candidate).source)
        count[1] += known[key, candidate]
    return tuple(RoundRepeats(round=round, samples=n, repeats=k) for round, (n, k) in sorted(counts.items()))


def repeats_in_words(rounds: Sequence[RoundRepeats]) -> str:
    """One sentence; none where nothing is repeated. Of several rounds, also the first and the last."""
    repeats = sum(one.repeats for one in rounds)
    if not repeats:
        return ""
    text = f"{repeats} of {sum(one.samples for one in rounds)} samples repeat the reference's own code"
    if len(rounds) > 1:
        ends = (f"{one.repeats} of {one.samples} in round {one.round}" for one in (rounds[0], rounds[-1]))
        text += f" ({', '.join(ends)})"
    return f"{text}, with which nothing can be won."
