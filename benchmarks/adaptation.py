"""Does adaptation beat more samples, at the same number of rollouts? A whole small experiment, in stages.

    python benchmarks/adaptation.py --out /tmp/adaptation --seconds 560

RLVR on the training tasks; then best-of-n, test-time training and self-distillation with feedback on the evaluation
tasks, `--rollouts` each, from its last weights ("rlvr"), and the three again from the model as it is ("base"); and the
comparisons.
Started again with the same `--out`, it goes on: a stage that is complete is not done again, one that was cut off goes
on where it was. No stage begins after `--seconds`, and one that is running then is stopped and can be gone on with.
Exit codes: 0 all done, 1 a stage failed, 3 the time was used up.

Written to `--out`: runs/ (the run directories), adaptation.json (seconds of each phase, idle shares, counts, wins,
rounds, and notes of the updates), tables.tar.gz (configuration, manifest, page, analysis and log of each run, the
comparisons), and runs.tar.gz (the run directories without weights, from which every figure can be computed again). With
several GPUs: --device cuda:all. On a CPU: --device cpu --scale default.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.report.devices import DeviceUse

EVAL = (  # fewer than six tasks could never tell two methods apart at p = 0.05
    "topk_by_sort,batched_dot_loop,gather_rows_loop,cumsum_loop,softmax_by_hand,median_by_sort,trace_of_product,"
    "moving_average_loop"
)
TRAIN = (
    "column_max_loop,row_variance_loop,gram_matrix_loop,gelu_tanh_by_hand,diagonal_matmul,product_row_sums,"
    "outer_product_vector,segment_mean_loop"
)
STARTS = ("rlvr", "base")
METHODS = ("best-of-n", "ttt", "sdpo")
SOURCES = Path(__file__).resolve().parents[1] / "src"
ASSAY = (sys.executable, "-c", "import sys; from assay.cli.main import main; sys.exit(main())")
DONE, FAILED, OUT_OF_TIME = 0, 1, 3
GRACE_S = 30.0  # for a run that was asked to stop: it ends what is in hand
WEIGHTS = "trainer"  # the folder of an adapter and Adam's state, beside the notes of its round


@dataclass(frozen=True)
class Stage:
    """A command whose JSON document is `page`; `run`: the directory that it fills. needs: stages that must be done."""

    name: str
    arguments: tuple[str, ...]
    page: Path
    run: Path | None = None
    needs: tuple[str, ...] = ()


@dataclass
class Progress:
    """What has become of each stage, over all calls: seconds of every attempt, and the last exit code."""

    path: Path
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, name: str, code: int, seconds: float) -> None:
        """One more attempt, on disk when this returns."""
        before = self.stages.get(name, {"attempts_s": []})
        self.stages[name] = {"exit": code, "attempts_s": [*before["attempts_s"], round(seconds, 1)]}
        self.path.write_text(json.dumps(self.stages))

    def is_done(self, name: str) -> bool:
        """Whether its last attempt succeeded."""
        return self.stages.get(name, {}).get("exit") == DONE


def main() -> int:
    """Does stage after stage; what is known is written after each."""
    options = parsed()
    deadline = time.monotonic() + options.seconds
    (options.out / "tables").mkdir(parents=True, exist_ok=True)
    progress = Progress(options.out / "tables" / "stages.json")
    if progress.path.exists():
        progress.stages = json.loads(progress.path.read_text())
    code = DONE
    for stage in stages(options):
        if progress.is_done(stage.name):
            continue
        if not all(map(progress.is_done, stage.needs)):
            say(f"{stage.name}: left out, since not all of {', '.join(stage.needs)} are done")
            continue
        if time.monotonic() > deadline:
            code = OUT_OF_TIME
            break
        began = time.monotonic()
        ended = perform(stage, deadline, options.out / "tables" / f"{stage.name}.log")
        progress.note(stage.name, ended, time.monotonic() - began)
        say(f"{stage.name}: exit {ended} after {time.monotonic() - began:.0f} s")
        write_summary(options, progress)
        if ended == OUT_OF_TIME:
            code = OUT_OF_TIME
            break
        code = max(code, FAILED if ended else DONE)
    write_summary(options, progress)
    pack(options)
    print((options.out / "adaptation.json").read_text())
    return code


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=560.0)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--scale", default="gpu")
    parser.add_argument("--tasks", default=EVAL, help="evaluation tasks")
    parser.add_argument("--train", default=TRAIN, help="training tasks of RLVR")
    parser.add_argument(
        "--starts", default=",".join(STARTS), help="which weights the methods start from, in this order"
    )
    parser.add_argument("--rollouts", type=int, default=320, help="of each method, from each start")
    parser.add_argument(
        "--rounds", type=int, default=4, help="rounds that adaptation spreads them over; one fewer update"
    )
    parser.add_argument("--rl-steps", type=int, default=8)
    parser.add_argument("--rl-batch", type=int, default=4, help="tasks a step")
    parser.add_argument("--rl-k", type=int, default=8, help="samples of each of them, and of each evaluation task")
    parser.add_argument(
        "--reward", default="log_lower", help="of test-time training; log_lower learns from verified wins alone"
    )
    parser.add_argument("--learning-rate", default="1e-4")
    parser.add_argument("--max-tokens", default="128")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--set", action="append", default=[], help="a setting of all runs, as evaluator.pairs=5")
    options = parser.parse_args()
    if not set(options.starts.split(",")) <= set(STARTS):
        parser.error(f"--starts {options.starts}: name {' or '.join(STARTS)}, or both with a comma between them")
    return options


def stages(options: argparse.Namespace) -> Iterator[Stage]:
    """All stages, in their order."""
    runs, tables = options.out / "runs", options.out / "tables"
    shared = ["--model", options.model, "--suite", "starter", "--scale", options.scale, "--device", options.device]
    shared += ["--temperature", "1.0", "--max-tokens", options.max_tokens, "--seed", options.seed]
    for one in ("remeasure=1", "null_evaluations=1", *options.set):
        shared += ["--set", one]
    learning = ["--learning-rate", options.learning_rate]
    starts = options.starts.split(",")
    names = {start: [f"{start}-{method}" for method in METHODS] for start in starts}
    for start in starts:
        if start == "rlvr":
            yield run_stage(runs / "rlvr", tables, ["rlvr", *shared, *outer_loop(options), *learning])
            yield document_stage("analyze-outer-loop", tables, ["analyze", str(runs / "rlvr")], ["rlvr"])
        begin = [] if start == "base" else ["--start", str(runs / "rlvr")]
        for method in METHODS:
            own = method_settings(options, method) + ([] if method == "best-of-n" else learning)
            command = [method, *shared, "--tasks", options.tasks, *own, *begin]
            yield run_stage(runs / f"{start}-{method}", tables, command, needs=("rlvr",) if begin else ())
        whole = [str(runs / name) for name in names[start]]
        for what in ("compare", "analyze"):
            yield document_stage(f"{what}-{start}", tables, [what, *whole], names[start])
    if len(starts) > 1:
        every = [name for start in starts for name in names[start]]
        yield document_stage("compare-all", tables, ["compare", *(str(runs / name) for name in every)], every)


def outer_loop(options: argparse.Namespace) -> list[str]:
    """RLVR's own settings: evaluated before the first step and after the last, whose weights are kept."""
    steps, k = str(options.rl_steps), str(options.rl_k)
    own = ["--tasks", options.train, "--eval-tasks", options.tasks, "--steps", steps, "--batch", str(options.rl_batch)]
    own += ["-k", k, "--eval-k", k, "--eval-every", steps, "--checkpoint-every", steps]
    return [*own, "--set", f"sampling.chunk={k}", "--set", "controls=false"]


def method_settings(options: argparse.Namespace, method: str) -> list[str]:
    """Samples of a task in each round, so that the rollouts are used up in the last one."""
    rounds = 1 if method == "best-of-n" else options.rounds
    k = -(-options.rollouts // (len(options.tasks.split(",")) * rounds))
    own = ["-k", str(k), "--budget", f"rollouts={options.rollouts}", "--set", f"sampling.chunk={min(k, 32)}"]
    if method != "best-of-n":
        own += ["--steps", str(rounds - 1)]
    return own + {"sdpo": ["--teacher", "feedback+solution"], "ttt": ["--reward", options.reward]}.get(method, [])


def run_stage(run: Path, tables: Path, command: Sequence[str], needs: tuple[str, ...] = ()) -> Stage:
    arguments = ("run", *command, "--out", str(run), "--json")
    return Stage(run.name, arguments, tables / f"{run.name}.json", run, needs)


def document_stage(name: str, tables: Path, command: Sequence[str], needs: Sequence[str]) -> Stage:
    return Stage(name, (*command, "--json"), tables / f"{name}.json", None, tuple(needs))


def perform(stage: Stage, deadline: float, log: Path) -> int:
    """Runs the stage in a process of its own, or goes on with it; its exit code. At the deadline it is stopped."""
    arguments = stage.arguments
    if stage.run is not None and (stage.run / "run.sqlite").exists():
        arguments = ("resume", str(stage.run), "--json")
    say(f"{stage.name}: assay {' '.join(arguments)}")
    path = os.pathsep.join(filter(None, (str(SOURCES), os.environ.get("PYTHONPATH"))))
    with stage.page.open("w") as page, log.open("a") as words:
        child = subprocess.Popen([*ASSAY, *arguments], stdout=page, stderr=words, env=os.environ | {"PYTHONPATH": path})
        try:
            return child.wait(timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGTERM)
        try:
            ended = child.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()  # what it had stored is stored
            child.wait()
            return OUT_OF_TIME
    return DONE if ended == DONE else OUT_OF_TIME


# -- what is brought back ---------------------------------------------------------------------------------------


def write_summary(options: argparse.Namespace, progress: Progress) -> None:
    """adaptation.json, from the pages of the runs that are done."""
    tables = options.out / "tables"
    pages = {path.stem: path for path in tables.glob("*.json")}
    done = {name: json.loads(path.read_text()) for name, path in pages.items() if progress.is_done(name)}
    runs = {name: run_summary(page) for name, page in done.items() if "spent" in page}
    comparisons = {name: page["in_words"] for name, page in done.items() if name.startswith("compare")}
    totals = [run["seconds"] for run in runs.values()]
    document = {
        "date": time.strftime("%Y-%m-%d"),
        "argv": sys.argv,
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "machine": machine(options.out / "runs"),
        "stages": progress.stages,
        "seconds_in_all": {key: round(sum(one[key] or 0 for one in totals), 1) for key in PHASES},
        "runs": runs,
        "in_words": comparisons,
    }
    (options.out / "adaptation.json").write_text(json.dumps(document, indent=1))


PHASES = ("wall", "sampling", "evaluation", "training")


def run_summary(page: dict[str, Any]) -> dict[str, Any]:
    """Seconds by phase, idle share of the device, counts, the wins by task, and what the updates were like."""
    spent, devices = page["spent"], page["devices"]
    wall = devices and devices["wall_s"]
    seconds = {"wall": wall} | {key: spent[f"{key}_s"] for key in PHASES[1:]}
    adaptation = page["adaptation"] or {"steps": [], "rounds": None, "in_words": None}
    kept = ("round", "role", "items", "constant", "groups", "is_updated", "why_not", "mean_reward", "drift")
    kept += ("grad_norm", "sampler_gap", "teacher_gap", "solutions")
    return {
        "strategy": page["strategy"],
        "start": page["start"],
        "ended_by": page["ended_by"],
        "seconds": seconds,
        "devices": devices,
        "idle_share": None if not wall else idle_shares(devices),
        "spent": spent,
        "samples_a_second_of_sampling": spent["rollouts"] / seconds["sampling"] if seconds["sampling"] else None,
        "evaluations_a_second": spent["evaluations"] / seconds["evaluation"] if seconds["evaluation"] else None,
        "tasks": {line["task"]: task_summary(line) for line in page["tasks"]},
        "selectors": {line["selector"]: line["fast_1_verified"] for line in page["selectors"]},
        "repeats": page["repeats"],
        "rounds": adaptation["rounds"] and adaptation["rounds"]["rows"],
        "updates": [{key: note[key] for key in kept} for note in adaptation["steps"]],
        "adaptation": adaptation["in_words"],
        "in_words": page["in_words"],
        "warnings": page["warnings"],
    }


def idle_shares(devices: dict[str, Any]) -> dict[str, float]:
    """Of the time at work, by device."""
    use = DeviceUse.model_validate(devices)
    return {"model": round(use.model_idle, 3), "programs": round(use.evaluator_idle, 3)}


def task_summary(line: dict[str, Any]) -> dict[str, Any]:
    again, control = line["again"], line["control"]
    counts = {key: line[key] for key in ("samples", "distinct", "correct", "fast_raw", "fast_verified")}
    return counts | {
        "first": line["picked"] and line["picked"]["ratio"],
        "again": again and [again["verdict"], again["ratio"], again["low"], again["high"]],
        "control": control and [control["verdict"], control["ratio"]],
    }


def machine(runs: Path) -> dict[str, Any] | None:
    """Versions and host, as the first run noted them."""
    for path in sorted(runs.glob("*/manifest.json")):
        session = json.loads(path.read_text())["sessions"][0]
        return {key: session.get(key) for key in ("versions", "host", "devices", "git")}
    return None


def pack(options: argparse.Namespace) -> None:
    """The archives; never weights."""
    runs, tables = options.out / "runs", options.out / "tables"
    runs.mkdir(exist_ok=True)
    with tarfile.open(options.out / "tables.tar.gz", "w:gz") as archive:
        archive.add(tables, "tables")
        for run in sorted(runs.glob("*")):
            for name in ("config.json", "manifest.json"):
                if (run / name).exists():
                    archive.add(run / name, f"runs/{run.name}/{name}")
    with tarfile.open(options.out / "runs.tar.gz", "w:gz") as archive:
        archive.add(runs, "runs", filter=without_weights)


def without_weights(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    path = Path(member.name)
    return None if path.name in (WEIGHTS, ".lock") or path.suffix == ".safetensors" else member


def say(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
