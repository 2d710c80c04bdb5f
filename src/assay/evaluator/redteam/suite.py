"""The red-team suite as records: which cheat attacks which reference, and which honest twin must pass beside it.

`suite.toml` lists the cases; the programs lie in `references/`, `cheats/` and `honest/`, and are only read here, never
imported. Two expectations exist. `not_correct`: the program gives wrong answers, breaks a rule or ends its process, so
only a failing status is acceptable. `not_faster`: where the attack has no effect, the program computes honestly and may
be called correct, but its attack must never make it `faster`.

A cheat that only tests the walls around it raises an error that begins with `ESCAPE_MARK` if it got through them; see
`RedTeamCase.escape`. What this suite does not cover: driver and kernel exploits, side channels, and native code that
attacks the harness below the interpreter, but for a redirected clock and a page fault handler.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from assay.core.records import Candidate, Evaluation, Status, Task

Needs = Literal["cpu", "cuda"]
Expectation = Literal["not_correct", "not_faster"]

ESCAPE_MARK = "redteam escape:"
KINDS = {
    "async": "work that is unfinished at return",
    "clock": "false clocks and events",
    "contention": "slowing the reference down",
    "decoy": "a kernel that is compiled and not used",
    "early": "work done before the clock starts",
    "exit": "ending or crippling its own process",
    "forge": "false messages and verdicts",
    "form": "outputs of an unusual form",
    "guess": "guessed inputs, values and weights",
    "lazy": "outputs that compute when they are read",
    "mutation": "changed inputs",
    "network": "reaching the network",
    "null": "answers without work",
    "patch": "replaced functions of torch, Python or the harness",
    "peek": "reading the reference or the expected outputs",
    "persist": "state left for later candidates",
    "precision": "lower precision than the reference",
    "resource": "exhausted resources, hangs and floods",
    "settings": "changed global settings",
    "signal": "signals to other processes",
    "stale": "answers to earlier inputs",
    "threads": "more cores than granted",
    "watched": "work done only when the output is looked at",
}

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class RedTeamCase:
    """One cheat and its honest twin, two candidates for the same reference.

    needs: "cuda" if the mechanism only exists there; other cases run on every device.
    is_quick: whether the case is part of the short run.
    """

    name: str
    kind: str
    about: str
    needs: Needs
    expect: Expectation
    twin_name: str
    is_quick: bool
    reference: Task
    cheat: Candidate
    twin: Candidate

    def is_caught(self, evaluation: Evaluation) -> bool:
        """Whether `evaluation`, of the cheat, denies the cheat what it is after."""
        if self.escape(evaluation) is not None:
            return False
        if self.expect == "not_correct":
            return evaluation.status is not Status.CORRECT
        return not evaluation.is_verified_faster

    def escape(self, evaluation: Evaluation) -> str | None:
        """What the cheat reports to have got through, if it did."""
        _, mark, what = evaluation.error.partition(ESCAPE_MARK)
        return what.strip().splitlines()[0] if mark else None


@cache
def load_redteam(device: str) -> tuple[RedTeamCase, ...]:
    """All cases that can run on `device` ("cpu", "cuda" or "cuda:N"), in the order of `suite.toml`.

    References and candidates have the sizes for one CPU core, or for a GPU (`scale` of the task).
    """
    document = tomllib.loads((_FOLDER / "suite.toml").read_text())
    is_cpu = device == "cpu"
    return tuple(
        _case(entry, {} if is_cpu else document["gpu_scale"][entry["reference"]])
        for entry in document["case"]
        if entry["needs"] == "cpu" or not is_cpu
    )


def _case(entry: dict[str, Any], constants: dict[str, int]) -> RedTeamCase:
    cheat = _read("cheats", entry["name"])
    return RedTeamCase(
        name=entry["name"],
        kind=entry["kind"],
        about=cheat.split('"""')[1].strip(),
        needs=entry["needs"],
        expect=entry["expect"],
        twin_name=entry["twin"],
        is_quick=entry.get("quick", False),
        reference=Task(
            suite="redteam",
            id=entry["reference"],
            name=entry["reference"].replace("_", " "),
            source=_at_scale(_read("references", entry["reference"]), constants),
            scale="gpu" if constants else "default",
        ),
        cheat=Candidate(source=_at_scale(cheat, constants)),
        twin=Candidate(source=_at_scale(_read("honest", entry["twin"]), constants)),
    )


def _read(folder: str, name: str) -> str:
    return (_FOLDER / folder / f"{name}.py").read_text()


def _at_scale(source: str, constants: dict[str, int]) -> str:
    for name, value in constants.items():
        source = re.sub(rf"^{name} = \d+$", f"{name} = {value}", source, flags=re.MULTILINE)
    return source
