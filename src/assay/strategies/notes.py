"""What a strategy that trains writes down of every round, and reads when it goes on."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from assay.core.errors import UsageError
from assay.core.records import Record, StoredRecord

STATE_FILE = "step.json"


class StepNote(StoredRecord):
    """What a round was worth to learn from, and what was made of it.

    task_key: of the task whose own weights these are; None where all tasks share one adapter. role: the samples of an
    `evaluation` round only measure. groups, constant: groups of samples of one prompt, and those of them whose rewards
    are all equal. items: completions in the update. loss (sum over their tokens), grad_norm (before clipping) and
    sampler_gap (mean of lp_behaviour - lp_theta before the update, near 0 where sampler and trainer agree) are None
    without an update. drift: of this round's snapshot from the starting weights; None where it was not measured.
    teacher_gap: mean of lp_teacher - lp_student over the tokens of the update; solutions: completions whose teacher saw
    a solution; both None without a teacher. is_updated; why_not: the reason where not, else empty. is_stopped: a
    guardrail ended the training here. mean_reward: None where a reward is not finite.
    """

    round: int
    task_key: str | None = None
    role: Literal["search", "evaluation"] = "search"
    groups: int
    constant: int
    items: int
    is_updated: bool
    why_not: str
    is_stopped: bool
    mean_reward: float | None
    drift: float | None
    loss: float | None
    grad_norm: float | None
    sampler_gap: float | None
    teacher_gap: float | None = None
    solutions: int | None = None


class State(Record):
    """What `open` needs beside the trainers' own files.

    notes: one, or with weights of their own one a task. history: of the normalized reward, by task key. mean_rewards:
    of the last search round, by the note's task key, "" for the shared one. stopped: those keys whose training ended.
    """

    notes: tuple[StepNote, ...]
    history: dict[str, tuple[float, ...]]
    mean_rewards: dict[str, float] = Field(default_factory=dict)
    stopped: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _one_note_is_a_list_of_one(cls, data: Any) -> Any:
        """Runs of earlier versions have a single `note`."""
        if isinstance(data, dict) and "note" in data:
            note = data["note"]
            stopped = [""] if isinstance(note, dict) and note.get("is_stopped") else []
            rest = {key: value for key, value in data.items() if key != "note"}
            return {**rest, "notes": [note], "stopped": stopped}
        return data


def write_state(directory: Path, state: State) -> None:
    """Writes the state of a round into its directory."""
    (directory / STATE_FILE).write_text(state.model_dump_json(indent=2) + "\n")


def read_state(directory: Path) -> State:
    """What was written. UsageError where this version cannot read it."""
    path = directory / STATE_FILE
    try:
        return State.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path} cannot be read ({error}); put it back, or begin a new run") from error


def read_notes(directory: Path) -> tuple[StepNote, ...]:
    """The notes of the round that `directory` was written for; none if no strategy that trains wrote it.

    UsageError for notes that this version cannot read.
    """
    return read_state(directory).notes if (directory / STATE_FILE).is_file() else ()
