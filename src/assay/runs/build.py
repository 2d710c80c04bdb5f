"""Names become objects: tasks, policy, evaluator, strategy. Torch is imported only when a model or device needs it."""

import difflib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import Evaluator, Policy
from assay.core.records import Candidate, ParseFailure, Prompt, SamplingParams, Suite, Task
from assay.policies.models import REGISTRY, Progress
from assay.policies.openai_settings import PREFIX as OPENAI
from assay.policies.openai_settings import parse_address
from assay.policies.tinker_sdk import HOSTED_MODELS, parse_model
from assay.policies.tinker_sdk import PREFIX as TINKER
from assay.prompting.extract import extract
from assay.prompting.formats import render
from assay.runs.assembly import strategy_of
from assay.runs.config import RefineConfig, RunConfig, StrategyConfig, TaskFilter, stored_config
from assay.runs.devices import device_list, devices_named, model_devices_named
from assay.runs.stages import Parts
from assay.runs.start import find_start
from assay.runs.store import RunStore
from assay.runs.training_config import RLVRConfig, TrainingConfig
from assay.tasks.splits import Split, make_split, read_split
from assay.tasks.suites import load_suite, select_tasks

REPLAY = "replay:"
_FIXED = ("scripted:", REPLAY)
_UNTRAINABLE = (*_FIXED, OPENAI)
_FILES = ("local:", *_FIXED)
SEED_SPLIT = "seed:"
# A step of decoding reads the weights once for all rows: a CPU is busy with few, a GPU or a server takes many.
CPU_CHUNK, WIDE_CHUNK = 8, 64


def chosen_tasks(config: RunConfig) -> tuple[Task, ...]:
    """The tasks of a run. UsageError for a suite, split or id that does not exist, and where nothing is left."""
    wanted = config.tasks
    suite = load_suite(config.suite, config.scale, config.input_shapes)
    if wanted.split is not None:
        split = _split(suite, wanted)
        is_train = wanted.part == "train" or isinstance(config.strategy, RLVRConfig)
        part = split.train if is_train else split.eval
        suite = select_tasks(suite, part, None)
    offset, limit = wanted.window
    chosen = select_tasks(suite, wanted.ids, limit, offset).tasks
    if isinstance(config.strategy, RLVRConfig):
        return _with_evaluation(config, config.strategy, chosen)
    return chosen


def _with_evaluation(config: RunConfig, chosen: RLVRConfig, train: tuple[Task, ...]) -> tuple[Task, ...]:
    """Training tasks, then those that are only evaluated. UsageError where a task would be both."""
    if not chosen.eval_ids or not chosen.eval_every:
        return train
    both = sorted({task.id for task in train} & set(chosen.eval_ids))
    if both and config.tasks.ids is not None:
        raise UsageError(f"{', '.join(both)} would be trained on and evaluated: leave them out of one of the two")
    suite = load_suite(config.suite, config.scale, config.input_shapes)
    evaluation = select_tasks(suite, chosen.eval_ids, None).tasks
    kept = tuple(task for task in train if task.id not in chosen.eval_ids)
    if not kept:
        raise UsageError("no task is left to train on: all are among those that are evaluated")
    return (*kept, *evaluation)


def resolve(config: RunConfig) -> RunConfig:
    """`config` with its devices named and its paths absolute, so that it means the same from anywhere.

    UsageError for a model specification that cannot be meant, one that the strategy cannot train, or a device that is
    not there.
    """
    check_model(config.model)
    if config.model.startswith(OPENAI):
        config = config.model_copy(update={"model": parse_address(config.model).spec})
    if config.model.startswith(TINKER) or config.model in HOSTED_MODELS:
        config = config.model_copy(update={"model": parse_model(config.model).spec})
    if isinstance(config.strategy, TrainingConfig) and not is_trainable(config.model):
        raise UsageError(
            f"--model {config.model}: {config.strategy.type} trains, and this cannot be trained;"
            " use a registered or local: model, or assay run best-of-n"
        )
    if isinstance(config.strategy, RefineConfig) and config.model.startswith(REPLAY):
        raise UsageError(f"--model {config.model}: refine asks what was never asked before, and a replay cannot answer")
    if config.model.startswith(REPLAY):
        # A stored completion answers the prompt that it was drawn from.
        with RunStore.open(Path(config.model.removeprefix(REPLAY))) as store:
            config = config.model_copy(update={"prompt": stored_config(store.config, store.directory).prompt})
    device = devices_named(config.device)
    model_device = model_devices_named(config.model_device) if config.model_device else device_list(device)[0]
    files = {
        name: path.absolute()
        for name in ("system", "examples")
        if isinstance(path := getattr(config.prompt, name), Path)
    }
    model = _absolute(config.model)
    return config.model_copy(
        update={
            "model": model,
            "start": _start(config, model),
            "strategy": _with_held_out(config),
            "prompt": config.prompt.model_copy(update=files),
            "sampling": config.sampling.model_copy(update={"chunk": _chunk(config, model_device)}),
            "device": device,
            "model_device": model_device,
        }
    )


def default_chunk(model: str, model_device: str) -> int:
    """How many completions are drawn at once where nobody says: 8 on a CPU, 64 on CUDA and of a server."""
    is_wide = model.startswith((OPENAI, TINKER)) or "cpu" not in device_list(model_device)
    return WIDE_CHUNK if is_wide else CPU_CHUNK


def _chunk(config: RunConfig, model_device: str) -> int:
    return config.sampling.chunk or default_chunk(config.model, model_device)


def _start(config: RunConfig, model: str) -> str | None:
    """The weights to begin from as `RUN:STEP`, with an absolute path. UsageError for what does not fit the run."""
    if config.start is None:
        return None
    if not is_trainable(model):
        raise UsageError(f"--start {config.start}: {model} takes no adapter; use the model that the run adapted")
    found = find_start(config.start, model)
    if found.directory is None:
        raise UsageError(f"--start {config.start}: step 0 is the unadapted model; leave --start out, or name another")
    chosen = config.strategy
    if isinstance(chosen, TrainingConfig) and (chosen.rank, chosen.alpha) != (found.lora.rank, found.lora.alpha):
        raise UsageError(
            f"--start {config.start}: its adapter has rank {found.lora.rank} and alpha {found.lora.alpha}, and goes on"
            f" with them: --rank {found.lora.rank} --set strategy.alpha={found.lora.alpha}"
        )
    return f"{found.run.absolute()}:{found.step}"


def _with_held_out(config: RunConfig) -> StrategyConfig:
    """The strategy, where it trains on some tasks and is evaluated on others with those named one by one."""
    chosen = config.strategy
    if not isinstance(chosen, RLVRConfig) or chosen.eval_ids is not None or not chosen.eval_every:
        return chosen
    if config.tasks.split is None:
        raise UsageError(
            "rlvr is evaluated on tasks that it does not train on: --split seed:N, or --eval-tasks IDS,"
            " or --eval-every 0 for no evaluations"
        )
    suite = load_suite(config.suite, config.scale, config.input_shapes)
    held_out = _split(suite, config.tasks).eval
    return chosen.model_copy(update={"eval_ids": tuple(held_out[: chosen.eval_limit])})


def is_trainable(spec: str) -> bool:
    """Whether a model is of a kind that strategies can train."""
    return not spec.startswith(_UNTRAINABLE)


def check_model(spec: str) -> None:
    """UsageError unless `spec` is a registered name or has the form of another kind of model; nothing is loaded."""
    if spec in REGISTRY or spec.startswith(_FILES):
        return
    if spec.startswith(OPENAI):
        parse_address(spec)
        return
    if spec.startswith(TINKER) or spec in HOSTED_MODELS:
        parse_model(spec)
        return
    near = difflib.get_close_matches(spec, REGISTRY, n=2)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known models: {', '.join(REGISTRY)}."
    raise UsageError(
        f"no model {spec!r}. {hint} Others: local:PATH-or-hub-id, openai:NAME@URL, tinker:NAME[@URL],"
        " scripted:FILE, replay:RUN."
    )


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
    if kind == "openai":
        return _load_openai(config)
    if kind == "tinker":
        from assay.policies.tinker import load_tinker

        return load_tinker(config.model)
    from assay.policies.local import load_local

    return load_local(config.model, config.model_device or config.device, config.model_threads, progress)


def _load_openai(config: RunConfig) -> Policy:
    if importlib.util.find_spec("httpx") is None:
        raise UsageError(f"--model {config.model}: HTTP needs httpx; pip install 'assay-lab[server]'")
    from assay.policies.openai_connect import Wanted
    from assay.policies.openai_server import load_openai

    wanted = Wanted(
        kind=None if config.prompt.kind == "auto" else config.prompt.kind,
        has_prefill=config.prompt.prefill,
        temperature=config.sampling.temperature,
        top_p=config.sampling.top_p,
    )
    return load_openai(config.model, config.server, wanted, config.model_device or config.device)


def load_evaluator(config: RunConfig) -> Evaluator:
    """The judge of a resolved configuration's device, by the rule that it names; for several devices, one on each."""
    if config.evaluator.rule == "assay":
        from assay.evaluator.judge import Judge
    else:
        from assay.evaluator.kernelbench_mode import KernelBenchJudge as Judge
    from assay.evaluator.pool import JudgePool

    devices = device_list(config.device)
    judges = [Judge(device, config.evaluator, lane=lane, lanes=len(devices)) for lane, device in enumerate(devices)]
    return judges[0] if len(judges) == 1 else JudgePool(judges)


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
        chunk=_chunk(config, config.model_device or config.device),
        remeasure=config.remeasure,
        shortlist=getattr(config.strategy, "shortlist", None),
        null_evaluations=config.null_evaluations,
        budget=config.budget,
    )


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
