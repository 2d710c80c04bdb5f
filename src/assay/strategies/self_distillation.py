"""Self-distillation (SDPO, arXiv 2601.20802): the model, told what became of its attempt, teaches itself.

For every completion the teacher scores the student's own tokens after a context of its own: the task, a correct
solution from another sample of the group, the result of the attempt, and the request to solve the original question
(`prompting.teacher`). In the sampled-token form A_t = beta (lp_teacher - lp_student), both from the same scoring, and
the update is the policy gradient. In the divergence form the student's distribution at each place is brought nearer to
the teacher's over the teacher's likeliest tokens, by a gradient through both; that takes a policy with top-k
log-probabilities and a trainer that sees its own distributions.

The published defects are not repeated: a sample is never its own solution, and a result says what the judge said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from assay.core.concurrency import together
from assay.core.errors import UsageError
from assay.core.protocols import AveragingTrainer, DistillingTrainer, DistillItem, Policy, Sampler
from assay.core.records import Prompt, Scored
from assay.learning.distillation import EMA_RATE, SOLUTION_REWARD, sampled_advantages
from assay.learning.names import PresetName, TeacherName, TeacherWeights
from assay.prompting.teacher import feedback_without_code, shown_solution, teacher_prompt
from assay.strategies.batch import Batch, Row
from assay.strategies.objective import Update, Weights, made, shaped, train_item
from assay.strategies.settings import TrainingSettings


@dataclass(frozen=True)
class TeacherSettings:
    """The teacher. told: what it knows beside the task. weights: whose they are, of this round's snapshot, of the
    starting weights, or their moving average. beta: of the sampled-token form. alpha: of the divergence form, None for
    the sampled-token form. topk: how many of the teacher's likeliest tokens the divergence is over.

    preset: under `published` every sample is learned from, and a solution is a correct sample; under `reference` a
    solution is a sample with reward 0.5 or more, and a sample whose teacher knows nothing more is left out.
    """

    told: TeacherName
    weights: TeacherWeights = "snapshot"
    preset: PresetName = "published"
    beta: float = 1.0
    alpha: float | None = None
    topk: int = 20


@dataclass(frozen=True)
class _Lesson:
    """A row with its teacher's context; has_solution: whether that shows one."""

    row: Row
    context: Prompt
    has_solution: bool


class Distillation:
    """The objective: a step towards the teacher."""

    def __init__(self, settings: TrainingSettings, teacher: TeacherSettings) -> None:
        self._settings, self._teacher = settings, teacher

    def check(self, policy: Policy) -> None:
        """UsageError for a policy that cannot score, or lacks what the divergence or the average takes."""
        can, teacher = policy.capabilities, self._teacher
        if not can.can_score:
            raise UsageError(f"{policy.name} cannot score, which a teacher does: use a local model, or assay run ttt")
        if teacher.alpha is not None and not (can.can_distill and can.topk):
            raise UsageError(
                f"{policy.name} has no full distributions to train on: leave out --divergence, and the sampled tokens"
                " are learned from"
            )
        if teacher.alpha is not None and teacher.topk > can.topk:
            raise UsageError(f"{policy.name} gives at most {can.topk} top log-probabilities: --topk {can.topk}")
        if teacher.weights == "ema" and not can.can_average:
            raise UsageError(f"{policy.name} keeps no average of its weights: --teacher-weights snapshot, or initial")

    async def update(self, batch: Batch, weights: Weights) -> Update:
        """One step on every sample that has a lesson in it."""
        lessons = self._lessons(batch)
        if not lessons:
            return Update(why_not="no teacher knows more than its student: there is no solution and no result")
        teacher = await self._sampler(weights)
        solutions = sum(lesson.has_solution for lesson in lessons)
        if self._teacher.alpha is None:
            update = await self._sampled(lessons, teacher, weights)
        else:
            update = await self._divergence(lessons, teacher, weights, self._teacher.alpha)
        if update.report is not None and self._teacher.weights == "ema":
            await cast(AveragingTrainer, weights.trainer).average(EMA_RATE)
        return replace(update, solutions=solutions)

    async def _sampler(self, weights: Weights) -> Sampler:
        match self._teacher.weights:
            case "snapshot":
                return weights.snapshot
            case "initial":
                return weights.reference
            case "ema":
                return await cast(AveragingTrainer, weights.trainer).averaged("teacher")

    async def _sampled(self, lessons: Sequence[_Lesson], teacher: Sampler, weights: Weights) -> Update:
        rows = [lesson.row for lesson in lessons]
        told = await together([teacher.score(one.context, one.row.tokens) for one in lessons], weights.at_once)
        own = await together([weights.snapshot.score(row.prompt, row.tokens) for row in rows], weights.at_once)
        read = sum(map(_read, [*told, *own]))
        gaps = [sampled_advantages(a.logprobs, b.logprobs) for a, b in zip(told, own, strict=True)]
        per_token = shaped(rows, [(self._teacher.beta * gap).tolist() for gap in gaps], self._settings.kl_coef)
        items = [train_item(row, of_tokens) for row, of_tokens in zip(rows, per_token, strict=True)]
        gap = float(np.concatenate(gaps).mean())
        if not any(a for item in items for a in item.advantages):
            return Update(why_not="the teacher agrees with the student on every token", scored=read, teacher_gap=gap)
        update = await made(len(items), weights.trainer.step(items, self._settings.loss, self._settings.adam))
        return replace(update, scored=read, teacher_gap=gap)

    async def _divergence(self, lessons: Sequence[_Lesson], teacher: Sampler, weights: Weights, alpha: float) -> Update:
        topk, items, gap, tokens = self._teacher.topk, [], 0.0, 0
        scores = [teacher.score(one.context, one.row.tokens, topk=topk) for one in lessons]
        told = await together(scores, weights.at_once)
        read = sum(map(_read, told))
        for lesson, scored in zip(lessons, told, strict=True):
            drawn = lesson.row.attempt.sample.completion
            ones = (1.0,) * len(drawn.tokens)
            items.append(DistillItem(lesson.row.prompt, drawn.tokens, drawn.logprobs, scored.topk, ones))
            gap += sum(scored.logprobs) - sum(drawn.logprobs)
            tokens += len(drawn.tokens)
        trainer = cast(DistillingTrainer, weights.trainer)
        update = await made(len(items), trainer.distill(items, alpha, self._settings.adam))
        return replace(update, scored=read, teacher_gap=gap / tokens)

    def _lessons(self, batch: Batch) -> list[_Lesson]:
        found = []
        for group in batch.groups:
            for row in group:
                solution = self._solution(row, group)
                feedback = feedback_without_code(row.attempt) if self._teacher.told != "prompt-only" else None
                is_left_out = self._teacher.preset == "reference" and solution is None and feedback is None
                if row.tokens and not is_left_out:
                    context = teacher_prompt(row.prompt, solution, feedback)
                    found.append(_Lesson(row, context, solution is not None))
        return found

    def _solution(self, row: Row, group: Sequence[Row]) -> str | None:
        """The program of the best other sample of the group that solves the task; never the row's own program."""
        if self._teacher.told != "feedback+solution":
            return None
        own = row.attempt.candidate
        others = [
            other
            for other in group
            if other is not row
            and self._is_solution(other)
            and other.attempt.candidate is not None
            and (own is None or other.attempt.candidate.hash != own.hash)
        ]
        best = max(others, key=lambda other: other.reward, default=None)
        return None if best is None else shown_solution(row.prompt, best.attempt)

    def _is_solution(self, row: Row) -> bool:
        is_correct = row.attempt.evaluation.is_correct
        return is_correct and (self._teacher.preset == "published" or row.reward >= SOLUTION_REWARD)


def _read(scored: Scored) -> int:
    """Tokens that were read for a score; of a policy that does not say how long the prompt was, the completion's."""
    return len(scored.tokens) + (scored.prompt_tokens or 0)
