"""Train and eval halves of a suite, as records that can be stored, named by their content and read back."""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from assay.core.errors import UsageError
from assay.core.records import StoredRecord, content_hash


class Split(StoredRecord):
    """Disjoint train and eval ids of one suite, each in ascending order; `seed` and `train_fraction` made them."""

    suite: str
    seed: int
    train_fraction: float = Field(ge=0.0, le=1.0)
    train: tuple[str, ...]
    eval: tuple[str, ...]

    @model_validator(mode="after")
    def _halves_are_disjoint(self) -> Self:
        both = (*self.train, *self.eval)
        if len(both) != len(set(both)):
            twice = sorted({task_id for task_id in both if both.count(task_id) > 1})
            raise ValueError(f"ids more than once in the split of {self.suite!r}: {', '.join(twice)}")
        return self

    @property
    def hash(self) -> str:
        """Identity of the division itself: the same suite, train and eval ids give the same hash."""
        return content_hash(self.suite, json.dumps(self.train), json.dumps(self.eval))


def make_split(suite_name: str, ids: Sequence[str], seed: int, train_fraction: float = 0.8) -> Split:
    """Divides `ids` by the published rule.

    Ids are sorted (as numbers where all are), shuffled by `random.Random(seed)`, the first
    floor(n * train_fraction) train, the rest eval, and both are sorted again: a function of the set
    of ids and the seed only.
    """
    if not 0.0 <= train_fraction <= 1.0:
        raise UsageError(f"train fraction {train_fraction}: not between 0 and 1.")
    if len(ids) != len(set(ids)):
        raise UsageError(f"suite {suite_name}: task ids are given twice. Name each task once.")
    shuffled = _in_order(ids)
    random.Random(seed).shuffle(shuffled)
    n_train = math.floor(len(shuffled) * train_fraction + 1e-9)  # so that 0.57 of 100 is 57
    return Split(
        suite=suite_name,
        seed=seed,
        train_fraction=train_fraction,
        train=tuple(_in_order(shuffled[:n_train])),
        eval=tuple(_in_order(shuffled[n_train:])),
    )


def split_document(split: Split) -> dict[str, object]:
    """What is stored: the record, and its hash beside it so that a hand-edited file is noticed."""
    return {**split.model_dump(mode="json"), "hash": split.hash}


def write_split(split: Split, path: Path) -> None:
    """Writes `split` as JSON. UsageError where the file cannot be written."""
    try:
        path.write_text(json.dumps(split_document(split), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written ({error.strerror}). Name a file in a folder that exists."
        ) from None


def read_split(path: Path) -> Split:
    """Reads what `write_split` wrote; `UsageError` where the file is missing, damaged or edited."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        written_hash = document.pop("hash", None)
        split = Split.model_validate(document)
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no such split file. Make one with: assay split SUITE --out {path}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "split"
        raise UsageError(f"{path}: {place}: {first['msg']}. Make the file again with: assay split") from None
    except (AttributeError, TypeError, ValueError) as error:  # not JSON, or JSON that is no object
        raise UsageError(f"{path}: not a split file ({error}). Make one with: assay split SUITE --out {path}") from None
    if written_hash not in (None, split.hash):  # a hand-written file may leave it out
        raise UsageError(
            f"{path}: the ids do not match the file's hash {written_hash}. Make it again with: assay split"
        )
    return split


def _in_order(ids: Sequence[str]) -> list[str]:
    """Sorted, as numbers where all ids are numbers."""
    if all(task_id.isdecimal() for task_id in ids):
        return sorted(ids, key=int)
    return sorted(ids)
