"""Names become objects: tasks, policy, evaluator, strategy. Torch is imported only when a model or device needs it."""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import AdamConfig, Evaluator, LoraConfig, Policy
from assay.core.records import Candidate, ParseFailure, Prompt, SamplingParams, Suite, Task
from assay.policies.models import REGISTRY, Progress
from assay.prompting.extract import extract
from assay.prompting.formats import render
from assay.runs.config import RunConfig, TaskFilter, TTTConfig, stored_config
from assay.runs.runner import Parts
from assay.runs.store import RunStore
from assay.strategies.best_of_n import BestOfN
from assay.strategies.protocol import Strategy
from assay.strategies.test_time_training import BatchTestTimeTraining, TrainingSettings
from assay.tasks.splits import Split, make_split, read_split
from assay.tasks.suites import load_suite, select_tasks

_LATER = ("openai:", "tinker:")
REPLAY = "replay:"
_FIXED = ("scripted:", REPLAY)
_FILES = ("local:", *_FIXED)
SEED_SPLIT = "seed:"


def chosen_tasks(config: RunConfig) -> tuple[Task, ...]:
    """The tasks of a run. UsageError for a suite, split or id that does not exist, and where nothing is left."""
    wanted = config.tasks
    suite = load_suite(config.suite, config.scale, config.input_shapes)
    if wanted.split is not None:
        split = _split(suite, wanted)
        part = split.train if wanted.part == "train" else split.eval
        suite = select_tasks(suite, part, None)
    offset, limit = wanted.window
    return select_tasks(suite, wanted.ids, limit, offset).tasks


def resolve(config: RunConfig) -> RunConfig:
    """`config` with its devices named and its paths absolute, so that it means the same from anywhere.

    UsageError for a model specification that cannot be meant, one that the strategy cannot train, or a device that is
    not there.
    """
    check_model(config.model)
    if isinstance(config.strategy, TTTConfig) and config.model.startswith(_FIXED):
        raise UsageError(
            f"--model {config.model}: {config.strategy.type} trains, and this cannot be trained;"
            " use a registered or local: model, or assay run best-of-n"
        )
    if config.model.startswith(REPLAY):
        # A stored completion answers the prompt that it was drawn from.
        with RunStore.open(Path(config.model.removeprefix(REPLAY))) as store:
            config = config.model_copy(update={"prompt": stored_config(store.config, store.directory).prompt})
    device = device_named(config.device)
    model_device = device_named(config.model_device) if config.model_device else device
    files = {
        name: path.absolute()
        for name in ("system", "examples")
        if isinstance(path := getattr(config.prompt, name), Path)
    }
    return config.model_copy(
        update={
            "model": _absolute(config.model),
            "prompt": config.prompt.model_copy(update=files),
            "device": device,
            "model_device": model_device,
        }
    )


def check_model(spec: str) -> None:
    """UsageError unless `spec` is a registered name or has the form of another kind of model; nothing is loaded."""
    if spec in REGISTRY or spec.startswith(_FILES):
        return
    if spec.startswith(_LATER):
        raise UsageError(f"--model {spec}: {spec.partition(':')[0]} servers are not available in this version")
    near = difflib.get_close_matches(spec, REGISTRY, n=2)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known models: {', '.join(REGISTRY)}."
    raise UsageError(f"no model {spec!r}. {hint} Others: local:PATH-or-hub-id, scripted:FILE, replay:RUN.")


def first_available(names: Sequence[str], progress: Progress, say: Callable[[str], None]) -> str:
    """The first of these registered models that is here or can be fetched; `say` hears why one is passed over.

    Raises the last one's PolicyError if none can be had.
    """
    from assay.policies.weights import locate

    for name in names[:-1]:
        try:
            locate(name, progress)
        except PolicyError as error:
            say(f"{error}\nGoing on without {name}.")
        else:
            return name
    locate(names[-1], progress)
    return names[-1]


def load_policy(config: RunConfig, progress: Progress | None = None) -> Policy:
    """The policy of a resolved configuration. UsageError for what is not there, PolicyError if it cannot load."""
    kind, _, name = config.model.partition(":")
    if kind == "scripted":
        from assay.policies.scripted import load_script

        return load_script(Path(name))
    if kind == "replay":
        from assay.policies.replay import ReplayPolicy

        with RunStore.open(Path(name)) as store:
            samples = list(store.samples())
            kind = store.prompt(samples[0].prompt_hash).kind if samples else "completion"
            return ReplayPolicy(samples, config.model, kind)
    from assay.policies.local import load_local

    return load_local(config.model, config.model_device or config.device, config.model_threads, progress)


def load_evaluator(config: RunConfig) -> Evaluator:
    """The judge of a resolved configuration's device, by the rule that it names."""
    if config.evaluator.rule == "assay":
        from assay.evaluator.judge import Judge

        return Judge(config.device, config.evaluator)
    from assay.evaluator.kernelbench_mode import KernelBenchJudge

    return KernelBenchJudge(config.device, config.evaluator)


def assemble(config: RunConfig, tasks: tuple[Task, ...], policy: Policy, evaluator: Evaluator) -> Parts:
    """Everything that the runner needs."""
    sampling = SamplingParams(
        temperature=config.sampling.temperature, top_p=config.sampling.top_p, max_tokens=config.sampling.max_tokens
    )
    prompt = prompt_of(config, policy.prompt_kind)
    return Parts(
        policy=policy,
        evaluator=evaluator,
        strategy=strategy_of(config, tasks, prompt),
        prompt=prompt,
        extract=extract,
        control=reference_copy if config.controls else None,
        sampling=sampling,
        seed=config.seed,
        chunk=config.sampling.chunk,
        remeasure=config.remeasure,
        shortlist=None if isinstance(config.strategy, TTTConfig) else config.strategy.shortlist,
        null_evaluations=config.null_evaluations,
    )


def strategy_of(config: RunConfig, tasks: tuple[Task, ...], prompt: Callable[[Task], Prompt]) -> Strategy:
    """The strategy of a configuration."""
    chosen = config.strategy
    if not isinstance(chosen, TTTConfig):
        return BestOfN(tasks, chosen.k)
    settings = TrainingSettings(
        steps=chosen.steps,
        reward=chosen.reward,
        advantage=chosen.advantage,
        loss=chosen.loss,
        adam=AdamConfig(
            learning_rate=chosen.learning_rate,
            beta1=chosen.beta1,
            beta2=chosen.beta2,
            epsilon=chosen.epsilon,
            weight_decay=chosen.weight_decay,
            max_grad_norm=chosen.max_grad_norm or None,
        ),
        lora=LoraConfig(rank=chosen.rank, alpha=chosen.alpha, seed=config.seed),
        kl_limit=chosen.kl_limit,
        seed=config.seed,
    )
    return BatchTestTimeTraining(tasks, chosen.k, prompt, settings)


def prompt_of(config: RunConfig, auto_kind: str) -> Callable[[Task], Prompt]:
    """The prompt of each task; `auto_kind` stands where the configuration leaves the kind open."""
    kind = "chat" if auto_kind == "chat" else "completion"
    if config.prompt.kind != "auto":
        kind = config.prompt.kind
    return lambda task: render(task, config.prompt.format, kind, config.prompt)


def reference_copy(task: Task) -> Candidate:
    """A candidate that is the reference itself under the candidate's name: whatever is measured of it is noise."""
    prompt = Prompt(task_key=task.key, format="module", kind="chat")
    found = extract("class ModelNew(Model):\n    pass\n", task, prompt)
    if isinstance(found, ParseFailure):
        raise UsageError(f"task {task.key}: no copy of its reference can be made ({found.reason})")
    return found


def _split(suite: Suite, wanted: TaskFilter) -> Split:
    assert wanted.split is not None
    if not wanted.split.startswith(SEED_SPLIT):
        split = read_split(Path(wanted.split))
        if split.suite != suite.name:
            raise UsageError(f"split {wanted.split} is of suite {split.suite}, not of {suite.name}")
        return split
    seed = wanted.split.removeprefix(SEED_SPLIT)
    if not seed.isdecimal():
        raise UsageError(f"split {wanted.split}: write seed:N with a whole number, or the file of a split")
    return make_split(suite.name, [task.id for task in suite.tasks], int(seed))


def _absolute(spec: str) -> str:
    kind, separator, name = spec.partition(":")
    path = Path(name).expanduser()
    return f"{kind}:{path.resolve()}" if separator and path.exists() else spec


def device_named(name: str) -> str:
    """`cpu` or `cuda:N` for a device as users name it; `auto` is the first CUDA device, or else the CPU.

    UsageError for a device that is not there.
    """
    if name == "cpu":
        return name
    if name != "auto" and name != "cuda" and not name.startswith("cuda:"):
        raise UsageError(f"device {name!r}: write cpu, cuda, cuda:N or auto")
    import torch

    if not torch.cuda.is_available():
        if name == "auto":
            return "cpu"
        raise UsageError(f"device {name!r}: torch sees no CUDA device here; use --device cpu")
    index = name.partition(":")[2] or "0"
    if not index.isdecimal() or int(index) >= torch.cuda.device_count():
        raise UsageError(f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices, counted from 0")
    return f"cuda:{index}"
