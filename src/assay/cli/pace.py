"""How far a round is, and when it will be done at the pace so far."""

from dataclasses import dataclass, field

# Before this share of the work is done, a guess at the rest is worth nothing.
LEAST_SHARE = 0.05


@dataclass
class Pace:
    """The work of one round in this process: every sample is drawn and judged, which count for one half each.

    samples: of the whole round; stored: those that were drawn before; began, in seconds of the monotonic clock. Samples
    that were drawn before are no work of this process, though their programs may wait for the judge.
    """

    round: int
    samples: int
    stored: int
    began: float
    _drawn_new: int = 0
    _drawn: dict[str, int] = field(default_factory=dict)
    _settled: dict[str, float] = field(default_factory=dict)
    _before: float = 0.0
    _judging_since: float = 0.0

    @property
    def left(self) -> int:
        """Samples that are yet to be drawn."""
        return max(0, self.samples - self.stored - self._drawn_new)

    @property
    def share(self) -> float:
        """The share of this process's work that is done, from 0 to 1."""
        new = self.samples - self.stored
        if new <= 0:
            return 0.0
        judged = min(float(new), sum(self._settled.values()))
        return (self._drawn_new + judged) / (2 * new)

    def sampled(self, task: str, new: int) -> None:
        """`new` more samples of a task."""
        self._drawn_new += new
        self._drawn[task] = self._drawn.get(task, 0) + new

    def judging(self, task: str, candidates: int, now: float) -> None:
        """The judge begins with what is drawn of a task; with no candidates it is done."""
        self._before, self._judging_since = self._settled.get(task, 0.0), now
        self.judged(task, 0, candidates)

    def judged(self, task: str, looks: int, expected: int) -> None:
        """`looks` of the `expected` programs of a task are judged."""
        part = looks / expected if expected else 1.0
        self._settled[task] = self._before + (self._drawn.get(task, 0) - self._before) * part

    def evaluations_a_second(self, looks: int, now: float) -> float | None:
        """Of the task in hand; None before the first."""
        seconds = now - self._judging_since
        return looks / seconds if looks and seconds > 0 else None

    def seconds_left(self, now: float) -> float | None:
        """Until the round is judged; None while too little is done to say."""
        if self.share < LEAST_SHARE:
            return None
        return (now - self.began) * (1 / self.share - 1)


def pace_words(pace: Pace, now: float) -> str:
    """`; round 0: 41% done, about 2 min left`, or nothing where nothing is known yet."""
    if not pace.share:
        return ""
    left = pace.seconds_left(now)
    return f"; round {pace.round}: {pace.share:.0%}" + ("" if left is None else f", {duration(left)} left")


def duration(seconds: float) -> str:
    """Roughly: `12 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
