"""Candidates over several judges."""

import asyncio

from assay.core.records import Candidate, Evaluation, Provenance, Status, Task
from assay.evaluator.pool import JudgePool


class TimedJudge:
    """Says what it was asked, holds its device alone as a judge does, and takes as long as it is told."""

    def __init__(self, device: str, seconds: float = 0.0) -> None:
        self.device = device
        self.seconds = seconds
        self.asked: list[tuple[str, str]] = []
        self.busy = asyncio.Lock()
        self.is_closed = False

    async def evaluate(self, task: Task, candidate: Candidate) -> Evaluation:
        async with self.busy:
            self.asked.append((task.id, candidate.source))
            await asyncio.sleep(self.seconds)
        return Evaluation(
            task_key=task.key,
            candidate_hash=candidate.hash,
            status=Status.WRONG_OUTPUT,
            provenance=Provenance(device=self.device),
        )

    async def remeasure(self, task: Task, candidate: Candidate) -> Evaluation:
        return await self.evaluate(task, candidate)

    async def close(self) -> None:
        self.is_closed = True


def task(name: str) -> Task:
    return Task(suite="made", id=name, name=name, source=f"# {name}")


async def evaluate_all(pool: JudgePool, names: list[str]) -> list[Evaluation]:
    work = [pool.evaluate(task(name), Candidate(source=f"{name} {i}")) for i, name in enumerate(names)]
    return list(await asyncio.gather(*work))


def test_candidates_are_spread_evenly_over_the_judges():
    judges = [TimedJudge("cuda:0", 0.01), TimedJudge("cuda:1", 0.01)]
    found = asyncio.run(evaluate_all(JudgePool(judges), ["a"] * 10))
    assert [len(judge.asked) for judge in judges] == [5, 5]
    assert {one.provenance.device for one in found} == {"cuda:0", "cuda:1"}


def test_a_slow_judge_gets_fewer_when_candidates_come_as_others_end():
    judges = [TimedJudge("cuda:0", 0.1), TimedJudge("cuda:1", 0.01)]

    async def in_turn() -> None:
        pool = JudgePool(judges)
        gate = asyncio.Semaphore(2)

        async def one(number: int) -> None:
            async with gate:
                await pool.evaluate(task("a"), Candidate(source=str(number)))

        await asyncio.gather(*(one(number) for number in range(12)))

    asyncio.run(in_turn())
    assert len(judges[0].asked) < len(judges[1].asked)


def test_among_idle_judges_the_one_that_has_the_task_open_is_taken():
    judges = [TimedJudge("cuda:0"), TimedJudge("cuda:1")]

    async def one_by_one() -> None:
        pool = JudgePool(judges)
        await asyncio.gather(*(pool.evaluate(task(name), Candidate(source=name)) for name in ("a", "b")))
        for _ in range(3):
            await pool.evaluate(task("b"), Candidate(source="again"))

    asyncio.run(one_by_one())
    assert [name for name, _ in judges[1].asked] == ["b"] * 4


def test_closing_the_pool_closes_every_judge():
    judges = [TimedJudge("cuda:0"), TimedJudge("cuda:1")]
    asyncio.run(JudgePool(judges).close())
    assert all(judge.is_closed for judge in judges)


def test_the_pool_names_all_its_devices():
    assert JudgePool([TimedJudge("cuda:0"), TimedJudge("cuda:1")]).device == "cuda:0,cuda:1"
