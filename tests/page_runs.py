"""Small runs in real stores for the tests of the page: ordinary ones, ones that adapted, and hostile ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fakes import control, judge, make_task, render

from assay.core.ledger import Spend
from assay.core.records import (
    Candidate,
    Completion,
    Evaluation,
    ParseFailure,
    Provenance,
    Sample,
    SamplingParams,
    Speedup,
    Status,
    StopReason,
    Task,
    Verdict,
)
from assay.runs.schema import Purpose
from assay.runs.store import Drawn, RunStore

SLOW = "class ModelNew(Model): pass  # ratio=0.9"
SAME = "class ModelNew(Model): pass  # ratio=1.0"
FAST = "class ModelNew(Model): pass  # ratio=1.5"
FASTER = "class ModelNew(Model): pass  # ratio=2.5"
WRONG = "class ModelNew(Model): pass  # status=wrong_output"
BROKEN = "class ModelNew(Model): pass  # status=build_error"
NOTHING = None

HOSTILE = {
    "end tag": "</script><script>window.owned = 1</script>",
    "image": "<img src=x onerror='window.owned = 1'>",
    "link": "javascript:window.owned=1",
    "template": "{{ 7 * 7 }} ${7*7} {% raw %}",
    "comment": "<!--<script> ]]> --!> &lt;b&gt;",
    "controls": "\x00\x08\x1b[31m\x7f\u0085",
    "bidi": "\u202egnp.exe\u2066 \u200b\ufeff\u2028\u2029",
    "emoji": "👩‍🔬 Ünïcode \U000e0041",
    "formula": "=HYPERLINK(\"http://127.0.0.1\")",
}  # fmt: skip

PAIRS_US = [[[110.5, 100.0], [122, 100]], [[116.2, 100.0], [112.7, 100.0]]]


def make_run(
    directory: Path,
    rounds: Sequence[Mapping[str, Sequence[str | None]]],
    *,
    config: dict | None = None,
    tasks: Sequence[Task] | None = None,
    is_complete: bool = True,
    controls: int = 2,
) -> Path:
    """A run with the given programs: for each round, by task id, one source a sample (None: nothing was parsed)."""
    records = tuple(tasks) if tasks else tuple(make_task(task_id) for task_id in rounds[0])
    stored = {"model": "fake", "strategy": {"type": "best-of-n"}, "device": "cpu", "seed": 0} | (config or {})
    with RunStore.create(directory, stored, records) as store:
        for task in records:
            for number in range(controls):
                copy = Candidate(source=f"{control(task).source}# {number}")
                store.add_evaluation(judge(task, copy, 1.0), Purpose.CONTROL, Spend(evaluations=1))
        for round, programs in enumerate(rounds):
            for task in records:
                _fill(store, task, round, programs[task.id])
            store.finish_round(round, f"snapshot-{round}", "now", Spend(updates=int(round > 0), training_s=1.0))
        for task in records:
            look = max(store.evaluations(Purpose.SEARCH, task.key), key=_ratio, default=None)
            if look is not None and look.speedup is not None and look.candidate_hash is not None:
                again = judge(task, store.candidate(look.candidate_hash), 0.9)
                store.add_evaluation(again, Purpose.SELECTED, Spend(evaluations=1))
        if is_complete:
            store.complete("now")
    return directory


def _ratio(look: Evaluation) -> float:
    return look.speedup.ratio if look.speedup else 0.0


def _fill(store: RunStore, task: Task, round: int, programs: Sequence[str | None]) -> None:
    prompt = render(task)
    drawn = [
        Drawn(
            sample(task, round, index, f"text of {source or 'nothing'}", prompt.hash),
            ParseFailure(reason="no class") if source is None else Candidate(source=source),
        )
        for index, source in enumerate(programs)
    ]
    if not drawn:
        return
    spend = Spend(rollouts=len(drawn), prompt_tokens=30, completion_tokens=10 * len(drawn), sampling_s=1.0)
    store.add_samples(prompt, drawn, spend)
    for candidate in store.unevaluated(round, task.key):
        store.add_evaluation(
            judge(task, candidate, 1.0), Purpose.SEARCH, Spend(evaluations=1, timing_runs=20, evaluation_s=0.5)
        )


def sample(task: Task, round: int, index: int, text: str, prompt_hash: str, logprobs: Sequence[float] = ()) -> Sample:
    found = tuple(logprobs) or (-0.5 - 0.1 * index, -2.0, -0.01)
    return Sample(
        id=f"{round}:{task.key}:{index}",
        task_key=task.key,
        round=round,
        index=index,
        snapshot_id=f"snapshot-{round}",
        prompt_hash=prompt_hash,
        prompt_tokens=3,
        params=SamplingParams(),
        completion=Completion(
            tokens=tuple(range(len(found))), logprobs=found, text=text, stop_reason=StopReason.STOP
        ),
    )  # fmt: skip


def best_of_n(directory: Path, **changes) -> Path:
    """Two tasks, one of them won, with every kind of end."""
    programs = {"won": [FAST, FASTER, SAME, NOTHING, WRONG, FAST], "lost": [SLOW, SAME, BROKEN, NOTHING, WRONG, SAME]}
    return make_run(directory, [programs], **changes)


def adapted(directory: Path, seed: int = 0, strategy: dict | None = None) -> Path:
    """Three rounds of the same tasks: success rises and falls again."""
    rounds = [
        {"won": [SAME, FAST, SLOW, WRONG], "lost": [SLOW, SAME, WRONG, SAME]},
        {"won": [FAST, FASTER, FAST, SAME], "lost": [FAST, SAME, SAME, SLOW]},
        {"won": [FAST, SAME, SAME, SAME], "lost": [SAME, SAME, SAME, SAME]},
    ]
    return make_run(directory, rounds, config={"seed": seed, "strategy": strategy or {"type": "ttt", "steps": 2}})


def hostile(directory: Path) -> Path:
    """Every text that a sample, a task or an error can carry is an attack, and one line is a megabyte long."""
    texts = list(HOSTILE.values())
    task = Task(suite="evil", id="t</script>", name="<b>bold</b>\u202e", source=f"class Model: pass\n# {texts[0]}\n")
    prompt = render(task)
    stored = {"model": "<script>window.owned=1</script>", "strategy": {"type": "<i>"}, "device": "cpu"}
    with RunStore.create(directory, stored, [task]) as store:
        drawn = []
        for index, text in enumerate([*texts, "x" * 1_000_000]):
            source = f"class ModelNew(Model): pass\n# {text}\n"
            drawn.append(Drawn(sample(task, 0, index, text, prompt.hash), Candidate(source=source)))
        drawn.append(
            Drawn(sample(task, 0, len(drawn), texts[1], prompt.hash), ParseFailure(reason=" ".join(texts)))
        )  # fmt: skip
        store.add_samples(prompt, drawn, Spend(rollouts=len(drawn)))
        for number, candidate in enumerate(store.unevaluated(0, task.key)):
            store.add_evaluation(_evil(task, candidate, number), Purpose.SEARCH, Spend(evaluations=1))
        store.finish_round(0, "snapshot-0", "now")
        store.complete("now")
    return directory


def _evil(task: Task, candidate: Candidate, number: int) -> Evaluation:
    where = Provenance(
        device="<u>cpu</u>",
        sandbox=("</style>",),
        facts={"pairs_us": PAIRS_US, "witness": {"pairs": 40, "seen_share": 0.15, "error": 0.01}},
    )
    fields = {"task_key": task.key, "candidate_hash": candidate.hash, "provenance": where}
    if number % 2:
        return Evaluation(status=Status.REJECTED, flags=("<img src=x>",), error=" ".join(HOSTILE.values()), **fields)
    speed = Speedup(ratio=1.2, low=1.1, high=1.3, margin=0.01, pairs=4, replicates=2, raw=1.25)
    return Evaluation(status=Status.CORRECT, verdict=Verdict.FASTER, speedup=speed, **fields)
