"""Options that commands share, and how they become a configuration."""

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from assay.core.errors import UsageError
from assay.runs.budget import parse_budget
from assay.runs.config import RunConfig, load_config, recipe_seeds


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run works on. An option that is not given leaves the recipe's value, or the default."""

    model: str | None = None
    """A name (see `assay models`; default qwen2.5-coder-0.5b), local:PATH-or-hub-id, openai:NAME@URL,
    scripted:FILE or replay:RUN."""
    suite: str | None = None
    """starter (default), kernelbench/1 .. /4, a folder of task files, one file, or FILE.py:Class."""
    input_shapes: str | None = None
    """Shapes of float32 inputs for a suite that is FILE.py or FILE.py:Class, as 4x8,8x16 for two."""
    scale: str | None = None
    """Input sizes: default, or gpu (starter), small (all others)."""
    tasks: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None
    """Ids of tasks, with commas or spaces between them; see `assay tasks SUITE`."""
    limit: int | None = None
    """At most so many tasks."""
    offset: int | None = None
    """Leave out so many tasks first."""
    split: str | None = None
    """seed:N for the published rule, or the file of a split (see `assay split`)."""
    part: Literal["train", "eval"] | None = None
    """The half of the split (default eval)."""
    subset: Literal["train", "eval"] | int | None = None
    """train or eval: as --part. A number n: the n-th five of the chosen tasks, instead of limit and offset."""
    format: Literal["body", "module"] | None = None
    """What is asked for: the body of forward (default), or a whole module."""
    temperature: float | None = None
    """Sampling temperature (default 0.8)."""
    max_tokens: int | None = None
    """At most so many tokens a completion (default 256)."""
    device: str | None = None
    """cpu, cuda:N, several (cuda:0,cuda:1 or cuda:all) or auto (default): programs are timed on them, and the model
    runs on the first."""
    evaluator: Literal["assay", "kernelbench", "kernelbench-fast", "kernelbench-full"] | None = None
    """Whose rule decides: assay (default), or KernelBench's published one, fast (1 + 5 trials) or full (5 + 50)."""
    budget: str | None = None
    """What the search may spend, as rollouts=320,tokens=2e6: of rollouts, tokens, evaluations and seconds; ends it."""
    start: str | None = None
    """RUN or RUN:STEP: begin from the adapter of another run, its last one or that of a round, not from the model."""
    seed: int | None = None
    """Seed of the sampling (default 0)."""
    seeds: str | None = None
    """Several seeds, as 42,43,44: a run for each, in a folder of its own."""
    recipe: Path | None = None
    """A TOML file with the run's settings."""
    set: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()
    """Any setting: --set sampling.top_p=0.95; may be given several times."""

    def config(self, **more: Any) -> RunConfig:
        """The configuration; `more` are settings by dotted key (with `__` for the dot) of the command itself."""
        given = {KEYS[field.name]: getattr(self, field.name) for field in fields(self) if field.name in KEYS}
        if self.tasks is not None:
            given["tasks.ids"] = tuple(name for text in self.tasks for name in text.split(",") if name)
        if isinstance(self.subset, str):
            if self.part not in (None, self.subset):
                raise UsageError(f"--subset {self.subset} and --part {self.part}: name one half of the split")
            given |= {"tasks.part": self.subset, "tasks.subset": None}
        if self.evaluator is not None:
            given["evaluator.rule"] = rule_named(self.evaluator)
        if self.budget is not None:
            given["budget"] = parse_budget(self.budget)
        extra = {key.replace("__", "."): value for key, value in more.items()}
        return load_config(self.recipe, given | extra, self.set)

    def several_seeds(self) -> tuple[int, ...]:
        """Of --seeds, or else of the recipe unless one seed is given; none where the run is a single one."""
        if self.seeds is None:
            return recipe_seeds(self.recipe) if self.recipe and self.seed is None else ()
        if self.seed is not None:
            raise UsageError("--seed and --seeds: give one of them")
        parts = [part.strip() for part in self.seeds.split(",")]
        if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
            raise UsageError(f"--seeds {self.seeds}: write different whole numbers with commas between, as 42,43,44")
        return tuple(int(part) for part in parts)


def rule_named(name: str) -> str:
    """The evaluator's rule that an option names; `kernelbench` is its fast form, the one that published runs used."""
    return "kernelbench-fast" if name == "kernelbench" else name


KEYS = {
    **{name: name for name in ("model", "suite", "input_shapes", "scale", "device", "seed", "start")},
    "tasks": "tasks.ids",
    **{name: f"tasks.{name}" for name in ("limit", "offset", "split", "part", "subset")},
    "format": "prompt.format",
    "temperature": "sampling.temperature",
    "max_tokens": "sampling.max_tokens",
}


def new_directory(out: Path | None, name: str) -> Path:
    """`out`, or a folder under `runs/` that is named after the time."""
    return out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
