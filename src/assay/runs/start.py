"""Weights that a run has learned, by their step: `RUN` or `RUN:STEP` becomes the folder of an adapter.

Step s is the weights that round s is sampled from: step 0 is what the run began with, as a rule the unadapted model,
and step s is what the update after round s - 1 has left. The last step of a run may never have been sampled from.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.protocols import LoraConfig
from assay.runs.database import holds_run
from assay.runs.runner import learned_directory
from assay.runs.store import RunStore
from assay.strategies.protocol import WEIGHTS_FOLDER
from assay.strategies.training import ISOLATED_FOLDER


@dataclass(frozen=True)
class Start:
    """Weights of `run` at `step`, an adapter of `model`. directory: what a trainer saved; None for the model itself."""

    run: Path
    step: int
    directory: Path | None
    lora: LoraConfig
    model: str


def steps(run: Path) -> tuple[int, ...]:
    """The steps whose weights are there, ascending, 0 first."""
    found = [0]
    for directory in (run / "adapters").glob("round-*"):
        number = directory.name.removeprefix("round-")
        if number.isdecimal() and (directory / WEIGHTS_FOLDER).is_dir():
            found.append(int(number) + 1)
    return tuple(sorted(found))


def find_start(text: str | Path, model: str | None = None) -> Start:
    """The weights that `RUN` (its last step) or `RUN:STEP` names; `model`: whose adapter it must be, if given.

    UsageError where there is no such run, where it learned nothing, where the step is not there, and for another model.
    """
    run, step = _parsed(str(text))
    there = steps(run)
    with RunStore.open(run) as store:
        config, rounds = store.config, store.finished_rounds()
    if there == (0,) and step != 0:
        if any((run / "adapters").glob(f"round-*/{ISOLATED_FOLDER}")):
            raise UsageError(f"{run} gave every task weights of its own, so it has none that serve them all")
        raise UsageError(f"{run} has no saved weights ({rounds} rounds complete): name a run that trained, such as ttt")
    step = there[-1] if step is None else step
    if step not in there:
        known = ", ".join(map(str, there))
        raise UsageError(f"{run} has no weights of step {step}: it has those of the steps {known}")
    stored = str(config.get("model"))
    if model is not None and stored != model:
        raise UsageError(f"{run} adapted {stored}, not {model}: its weights fit no other model")
    begun = config.get("start")
    if step == 0 and isinstance(begun, str):  # the run itself began with another one's weights
        return replace(find_start(begun, stored), run=run, step=0)
    return Start(run, step, learned_directory(run, step - 1) / WEIGHTS_FOLDER if step else None, _lora(config), stored)


def _parsed(text: str) -> tuple[Path, int | None]:
    """Run and step; a folder whose own name ends in `:N` is meant as it stands."""
    head, separator, tail = text.rpartition(":")
    if not separator or holds_run(Path(text)):
        return Path(text), None
    if not tail.isdecimal():
        raise UsageError(f"{text}: write RUN or RUN:STEP with a whole number")
    return Path(head), int(tail)


def _lora(config: dict[str, object]) -> LoraConfig:
    """The adapter's shape, as the strategy of a run has it."""
    strategy = config.get("strategy")
    settings = strategy if isinstance(strategy, dict) else {}
    seed = config.get("seed")
    return LoraConfig(
        rank=int(settings.get("rank", LoraConfig.rank)),
        alpha=int(settings.get("alpha", LoraConfig.alpha)),
        seed=int(seed) if isinstance(seed, int) else LoraConfig.seed,
    )
