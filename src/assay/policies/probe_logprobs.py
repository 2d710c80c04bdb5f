"""Does a policy report raw log-probabilities? Asked of every server before a run, and by `assay doctor --model`.

Some servers report a token's log-probability after the division by the temperature; surprisal, importance ratios and
everything built on them would silently be of another distribution. Two experiments tell:

rescored          completions are drawn at temperature 0.5 and scored again in one forward pass, which knows no
                  temperature. Raw ones agree; tempered ones are nearer to 0 wherever the model was in doubt.
two temperatures  for a policy that cannot score: the likeliest first tokens of one prompt, at temperature 1 and 0.5.
                  Raw log-probabilities are the same for both.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from assay.core.protocols import Sampler
from assay.core.records import Message, Prompt, Record, SamplingParams

PROBE_TEMPERATURE = 0.5
TOLERANCE = 0.1
"""Nats a token, above what rounding does in bfloat16, and below what halving the temperature does on average: a single
token can be left where it was (two equally likely ones are), a dozen are not."""
DOUBT = 0.3  # a token whose raw log-probability is above -0.3 hardly changes with the temperature, and says nothing
TOKENS_NEEDED = 4
_ROWS, _MAX_TOKENS = 3, 16
_TEXT = "Some words that have nothing to do with one another:"


class ProbeReport(Record):
    """What was found. gap: mean difference in nats over `tokens` tokens that could tell; None if there were too few."""

    verdict: Literal["raw", "tempered", "unclear", "none"]
    method: Literal["rescored", "two temperatures", "none"]
    gap: float | None
    tokens: int

    @classmethod
    def nothing(cls) -> "ProbeReport":
        """No experiment was made."""
        return cls(verdict="none", method="none", gap=None, tokens=0)


@runtime_checkable
class Probed(Protocol):
    """A policy that was probed when it was connected to."""

    @property
    def report(self) -> ProbeReport:
        """What the probe found."""
        ...

    @property
    def dialect(self) -> str:
        """The kind of server."""
        ...

    @property
    def why_no_scores(self) -> str:
        """Why scoring is not used; "" where it is."""
        ...


def probe_prompt(kind: Literal["completion", "chat"]) -> Prompt:
    """A prompt after which a model is in doubt."""
    if kind == "completion":
        return Prompt(task_key="probe", format="body", kind=kind, text=_TEXT)
    return Prompt(task_key="probe", format="body", kind=kind, messages=(Message(role="user", content=_TEXT),))


async def probe_by_rescoring(
    sampler: Sampler, kind: Literal["completion", "chat"], temperature: float = PROBE_TEMPERATURE
) -> ProbeReport:
    """The first experiment, on a sampler that reports its log-probabilities as they come.

    At temperature 1 it tries the scorer instead: there is no tempering to be found, and any gap is the scorer's.
    """
    prompt = probe_prompt(kind)
    draw = await sampler.sample(prompt, _ROWS, SamplingParams(temperature=temperature, max_tokens=_MAX_TOKENS))
    drawn: list[float] = []
    scored: list[float] = []
    for completion in draw.completions:
        again = await sampler.score(prompt, completion.tokens)
        drawn += completion.logprobs
        scored += again.logprobs
    return judge_gaps(drawn, scored, "rescored")


def compare_temperatures(at_one: Mapping[str, float], at_half: Mapping[str, float]) -> ProbeReport:
    """The second experiment, given the likeliest first tokens (text to log-probability) at both temperatures."""
    shared = sorted(at_one.keys() & at_half.keys())
    return judge_gaps([at_half[key] for key in shared], [at_one[key] for key in shared], "two temperatures", needed=1)


def judge_gaps(
    reported: Sequence[float],
    raw: Sequence[float],
    method: Literal["rescored", "two temperatures"],
    needed: int = TOKENS_NEEDED,
) -> ProbeReport:
    """Mean absolute difference over the tokens whose raw log-probability is below -`DOUBT`."""
    pairs = [(a, b) for a, b in zip(reported, raw, strict=True) if b < -DOUBT]
    if len(pairs) < needed:
        return ProbeReport(verdict="unclear", method=method, gap=None, tokens=len(pairs))
    gap = sum(abs(a - b) for a, b in pairs) / len(pairs)
    verdict = "raw" if gap <= TOLERANCE else "tempered"
    return ProbeReport(verdict=verdict, method=method, gap=gap, tokens=len(pairs))
