"""Earlier programs to begin from again, and which of them are worth it (TTT-Discover, arXiv 2601.16175, section 3.2).

A state is a correct program with its measured speedup; the root is the task's own prompt. Its value R is the logarithm
of the low end of the speedup's interval, so that a lucky measurement is worth little; the root's is 0, that of the
reference itself. The state with the highest score is expanded next (PUCT, after Rosin 2011 and Silver et al. 2017):

    score(s) = Q(s) + c * scale * P(s) * sqrt(1 + N) / (1 + n(s))

    Q       value of the best direct child; R of the state itself before it was ever expanded
    P       (S - rank) / sum over all states, the best of the S states with rank 0
    n, N    expansions of the state or of a descendant; of all states together
    scale   highest minus lowest R of all states but the root, at least 1e-6; 1 while there is only the root

Of the children of one expansion the best few are kept, of equal programs the first. Everything is a pure function of
what was drawn and measured: no random number is used.
"""

from collections.abc import Iterable, Sequence
from math import log, sqrt

from assay.core.records import Evaluation, StoredRecord

ROOT = "root"
_LEAST_SCALE = 1e-6


class State(StoredRecord):
    """A program to begin from. id: its candidate's hash, `root` for the task itself, which has no program.

    parent: the state whose expansion gave it. round: of that expansion. expansions: n of the score; best_child: value
    of the best program that an expansion of this very state has given, kept or not; None before the first correct one.
    """

    id: str
    parent: str | None = None
    round: int | None = None
    source: str | None = None
    evaluation: Evaluation | None = None
    value: float = 0.0
    expansions: int = 0
    best_child: float | None = None


class Child(StoredRecord):
    """What an expansion gave: a program with its evaluation."""

    source: str
    evaluation: Evaluation

    @property
    def value(self) -> float | None:
        """None for a program that is not correct, and so is no state."""
        speedup = self.evaluation.speedup
        return None if speedup is None else log(speedup.low)


class StateBuffer(StoredRecord):
    """The states of one task, the root first and then as they were found. A new buffer comes of every change."""

    states: tuple[State, ...] = (State(id=ROOT),)
    expansions: int = 0

    def scores(self, c: float) -> dict[str, float]:
        """The score of every state, by id."""
        values = [one.value for one in self.states if one.id != ROOT]
        scale = max(max(values) - min(values), _LEAST_SCALE) if values else 1.0
        priors, explored = _rank_priors([one.value for one in self.states]), sqrt(1 + self.expansions)
        return {
            one.id: _q(one) + c * scale * prior * explored / (1 + one.expansions)
            for one, prior in zip(self.states, priors, strict=True)
        }

    def picks(self, count: int, c: float) -> tuple[State, ...]:
        """The `count` best states by score; of equals the more valuable, then the earlier one.

        No state is picked beside an ancestor or descendant of it, the root aside, which is an ancestor of all. Where
        fewer are left than asked for, the picks begin again with the first.
        """
        scores = self.scores(c)
        order = sorted(range(len(self.states)), key=lambda i: (-scores[self.states[i].id], -self.states[i].value, i))
        picked: list[State] = []
        for state in (self.states[place] for place in order):
            if len(picked) < count and not any(self._related(state, other) for other in picked):
                picked.append(state)
        return tuple(picked[number % len(picked)] for number in range(count))

    def expanded(self, state_id: str, children: Iterable[Child], round: int, keep: int, capacity: int) -> "StateBuffer":
        """The buffer after an expansion: counts go up along the line to the root, and the best `keep` children enter.

        Beyond `capacity` states those of least value go, never the root. KeyError for an unknown state.
        """
        by_id = {one.id: one for one in self.states}
        line = {state_id, *self._ancestors(by_id[state_id])}
        valued = [(value, child) for child in children if (value := child.value) is not None]
        best = max((value for value, _ in valued), default=None)
        counted = [
            one.model_copy(
                update={
                    "expansions": one.expansions + (one.id in line),
                    "best_child": _higher(one.best_child, best) if one.id == state_id else one.best_child,
                }
            )
            for one in self.states
        ]
        new: dict[str, State] = {}
        for value, child in sorted(valued, key=lambda pair: -pair[0]):
            program = child.evaluation.candidate_hash
            if program is None or program in by_id or program in new or len(new) == keep:
                continue
            new[program] = State(
                id=program,
                parent=state_id,
                round=round,
                source=child.source,
                evaluation=_without_facts(child.evaluation),
                value=value,
            )
        return StateBuffer(states=_within([*counted, *new.values()], capacity), expansions=self.expansions + 1)

    def _ancestors(self, state: State) -> list[str]:
        """From the parent to the root; a state that was dropped ends the line, but for the root."""
        by_id = {one.id: one for one in self.states}
        line, parent = [], state.parent
        while parent is not None and parent in by_id:
            line.append(parent)
            parent = by_id[parent].parent
        return line if state.id == ROOT or ROOT in line else [*line, ROOT]

    def _related(self, a: State, b: State) -> bool:
        if ROOT in (a.id, b.id):
            return False
        return a.id in self._ancestors(b) or b.id in self._ancestors(a)


def _without_facts(evaluation: Evaluation) -> Evaluation:
    """Every timed pair stands in the run's store already; a buffer is written after every round."""
    return evaluation.model_copy(update={"provenance": evaluation.provenance.model_copy(update={"facts": {}})})


def _q(state: State) -> float:
    return state.value if state.best_child is None else state.best_child


def _rank_priors(values: Sequence[float]) -> list[float]:
    """P of each state; of equal values the earlier one has the better rank."""
    order = sorted(range(len(values)), key=lambda place: (-values[place], place))
    total = len(values) * (len(values) + 1) / 2
    priors = [0.0] * len(values)
    for rank, place in enumerate(order):
        priors[place] = (len(values) - rank) / total
    return priors


def _higher(a: float | None, b: float | None) -> float | None:
    known = [value for value in (a, b) if value is not None]
    return max(known, default=None)


def _within(states: Sequence[State], capacity: int) -> tuple[State, ...]:
    worst_first = sorted((one for one in states if one.id != ROOT), key=lambda one: one.value)
    dropped = {one.id for one in worst_first[: max(0, len(states) - capacity)]}
    return tuple(one for one in states if one.id not in dropped)
