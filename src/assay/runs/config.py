"""A run's configuration: defaults, then a recipe (TOML), then command-line options, then `--set`; saved resolved."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeGuard, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from assay.core.errors import UsageError
from assay.core.records import Record
from assay.evaluator.config import EvaluatorConfig
from assay.policies.openai_settings import ServerSettings
from assay.prompting.formats import PromptOptions
from assay.runs.budget import Budget
from assay.runs.training_config import DiscoverConfig, RLVRConfig, SDPOConfig, TTTConfig
from assay.selection.shortlist import Shortlist

SUBSET_SIZE = 5  # the published evaluation subsets are consecutive fives of the eval half


class TaskFilter(Record):
    """Which tasks of the suite: the half of a split, of it the ids, of them a window.

    split: `seed:N` (the published rule) or the file of a split; part: its half. subset: the n-th five, from 1, instead
    of limit and offset.
    """

    split: str | None = None
    part: Literal["train", "eval"] = "eval"
    ids: tuple[str, ...] | None = None
    subset: int | None = Field(default=None, ge=1)
    limit: int | None = Field(default=None, ge=1)
    offset: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.subset is not None and (self.limit is not None or self.offset):
            raise ValueError("subset stands instead of limit and offset: give one or the other")
        return self

    @property
    def window(self) -> tuple[int, int | None]:
        """Offset and limit."""
        if self.subset is not None:
            return (self.subset - 1) * SUBSET_SIZE, SUBSET_SIZE
        return self.offset, self.limit


class PromptConfig(PromptOptions):
    """What the model is asked. kind `auto`: the kind that the model was measured to answer best."""

    format: Literal["body", "module"] = "body"
    kind: Literal["auto", "completion", "chat"] = "auto"


class SamplingConfig(Record):
    """How completions are drawn; `chunk` of them at once, which is also what an interruption can lose.

    chunk: None until the run is resolved, which takes `default_chunk` of the model and its device.
    """

    temperature: float = Field(default=0.8, ge=0.0, le=10.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_tokens: int = Field(default=256, ge=1)
    chunk: int | None = Field(default=None, ge=1)


class BestOfNConfig(Record):
    """Best-of-N: k samples a task, in one round. shortlist: evaluate only some of them; the others are stored."""

    type: Literal["best-of-n"] = "best-of-n"
    k: int = Field(default=64, ge=1)
    shortlist: Shortlist | None = None

    @model_validator(mode="after")
    def _shortlist_fits(self) -> Self:
        if self.shortlist is not None and self.shortlist.top > self.k:
            raise ValueError(f"a shortlist of {self.shortlist.top} of k = {self.k} samples: top is at most k")
        return self


class RefineConfig(Record):
    """Refinement: k chains a task and `turns` rounds; each turn is shown its chain's last program and its result."""

    type: Literal["refine"] = "refine"
    k: int = Field(default=16, ge=1)
    turns: int = Field(default=4, ge=1)


StrategyConfig = Annotated[
    BestOfNConfig | TTTConfig | SDPOConfig | RLVRConfig | RefineConfig | DiscoverConfig, Field(discriminator="type")
]
_STRATEGIES = tuple(part.model_fields["type"].default for part in get_args(get_args(StrategyConfig)[0]))


class RunConfig(Record):
    """Everything that a run depends on.

    input_shapes: shapes of float32 inputs for a suite that is one file ("4x8,8x16"), instead of what the file makes.
    server: how an openai: model is reached, where the model is one.
    device: what programs are timed on, one device or several; `auto` is the first CUDA device, or the CPU.
    model_device: what a local model runs on, by default the first of `device`; for the names of both see
    `assay.runs.devices`. controls: evaluate `null_evaluations` identical copies of each reference too, each measured
    by itself; by default as many as `default_copies` says. remeasure: how many of a task's fastest candidates are
    measured again at the end. budget: what the search may spend. start: `RUN:STEP`, the adapter of another run to begin
    from.
    """

    strategy: StrategyConfig = BestOfNConfig()
    model: str = "qwen2.5-coder-0.5b"
    suite: str = "starter"
    input_shapes: str | None = None
    scale: str = "default"
    tasks: TaskFilter = TaskFilter()
    server: ServerSettings = ServerSettings()
    prompt: PromptConfig = PromptConfig()
    sampling: SamplingConfig = SamplingConfig()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    device: str = "auto"
    model_device: str | None = None
    model_threads: int | None = Field(default=None, ge=1)
    controls: bool = True
    null_evaluations: int = Field(default_factory=lambda given: default_copies(_samples_a_task(given)), ge=1)
    remeasure: int = Field(default=3, ge=1)
    budget: Budget | None = None
    start: str | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _budget_or_shortlist(self) -> Self:
        if self.budget is not None and getattr(self.strategy, "shortlist", None) is not None:
            raise ValueError("a shortlist is made of all samples, which a budget may cut off: leave out one of them")
        return self


# From so many samples of a task on, single copies would leave the noise of a lucky one among them unseen.
MANY_SAMPLES = 16


def default_copies(k: int) -> int:
    """Identical copies of each reference beside k samples of its task: 4 from 16 samples on, 1 below.

    The largest of many measurements is what noise gets wrong, and one copy shows nothing of how they scatter; four
    add at most a quarter to the evaluations of a round of 16 samples, and a sixteenth to one of 64.
    """
    return 4 if k >= MANY_SAMPLES else 1


def _samples_a_task(given: Mapping[str, Any]) -> int:
    """Of the strategy among the fields that were validated so far; it is not among them where it is not valid."""
    return getattr(given.get("strategy"), "k", 1)


def load_config(recipe: Path | None, options: Mapping[str, Any], sets: Sequence[str] = ()) -> RunConfig:
    """The configuration from its layers, the later over the earlier.

    recipe: a TOML file with the keys of `RunConfig`, and perhaps `seeds` (see `recipe_seeds`). options: dotted key ->
    value, None for what was not given.
    sets: `a.b=value`, the value as in TOML, or a bare word. Raises UsageError that names the key and its near matches.
    """
    values = _read_recipe(recipe) if recipe else {}
    values.pop("seeds", None)
    given = [(key, value) for key, value in options.items() if value is not None]
    for key, value in [*given, *map(_assignment, sets)]:
        _put(values, key, value)
    strategy = values.setdefault("strategy", {})
    if isinstance(strategy, dict):
        strategy.setdefault("type", "best-of-n")
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError("\n".join(_complaint(one) for one in error.errors())) from None


def recipe_seeds(recipe: Path) -> tuple[int, ...]:
    """The `seeds` that a recipe names, for a run of each; none where it is for a single run."""
    seeds = _read_recipe(recipe).get("seeds", [])
    if not isinstance(seeds, list) or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise UsageError(f"recipe {recipe}: seeds are a list of whole numbers, as [42, 43, 44]")
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"recipe {recipe}: seeds names one of them twice")
    return tuple(seeds)


def stored_config(values: Mapping[str, Any], run: Path) -> RunConfig:
    """The configuration that `run` has stored. UsageError if this version cannot read it."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        complaints = "; ".join(_complaint(one) for one in error.errors())
        raise UsageError(f"{run} has settings that this version of Assay does not know: {complaints}") from None


def known_keys(model: type[BaseModel] = RunConfig, prefix: str = "") -> list[str]:
    """All dotted keys that can be set."""
    keys: dict[str, None] = {}
    for name, field in model.model_fields.items():
        nested = [part for part in (field.annotation, *get_args(field.annotation)) if _is_model(part)]
        for key in [key for part in nested for key in known_keys(part, f"{prefix}{name}.")] or [f"{prefix}{name}"]:
            keys[key] = None
    return list(keys)


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {path}: not TOML: {error}") from None


def _assignment(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise UsageError(f"--set {text}: write it as key=value, for example --set sampling.temperature=1.0")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise UsageError(f"{key}: {name} is a value, not a table")
    values[last] = value


def _complaint(error: Any) -> str:
    path = list(error["loc"])
    strategy = path.pop(1) if path[:1] == ["strategy"] and len(path) > 1 and path[1] in _STRATEGIES else None
    if error["type"] == "union_tag_invalid":
        path.append("type")
    key = ".".join(str(part) for part in path)
    if error["type"] != "extra_forbidden":
        return f"{key or 'configuration'}: {error['msg']} (given: {error['input']!r})"
    keys = known_keys()
    if strategy is not None and key in keys:
        return f"{key} is not a setting of {strategy}, but of another strategy: leave it out, or run that one"
    by_last = {name: [k for k in keys if k.split(".")[-1] == name] for name in {k.split(".")[-1] for k in keys}}
    near = difflib.get_close_matches(key, keys, n=3, cutoff=0.7) or [
        full
        for name in difflib.get_close_matches(key.split(".")[-1], by_last, n=3, cutoff=0.7)
        for full in by_last[name]
    ]
    hint = f"did you mean {' or '.join(near)}?" if near else f"known keys are {', '.join(keys)}"
    return f"unknown key {key!r}: {hint}"
