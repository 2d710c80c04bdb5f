"""What a task lets through: null answers, inputs that do not matter, outputs that never change, sizes that do not fit.

No candidate runs here: answers that know nothing are put to the judge's own correctness rule (`correctness.mismatch` on
trials of the task's own inputs and of another distribution), and to the published one on the task's own inputs. A task
that takes such an answer for correct cannot tell a kernel from nothing, and is unfit. References run in this process,
on one thread: audit tasks that you trust.
"""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch

from assay.core.records import Record, Task
from assay.evaluator.calibration import device_name
from assay.evaluator.correctness import chunks, mismatch, same_bits
from assay.evaluator.kernelbench_mode import published_mismatch
from assay.evaluator.reference import Reference, Trial
from assay.tasks.constants import input_elements

NOISE_FLOOR_US = 20.0  # the judge's two clocks may always differ by this (timing.Clocks): below it the second is blind
_SEEDS = (11, 12)
_COPIES = 3  # of inputs and outputs: the judge's, and each side's buffers
_WARM_UPS = 2
_TIMED_CALLS = 9
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")

Problem = Literal["out_of_memory", "does_not_run"]


class TaskAudit(Record):
    """The findings on one task at one scale on one device.

    problem: why nothing else is known (`error` has the text). accepted: null answers that the judge takes for correct
    in every trial; accepted_on_own: in a trial of the task's own distribution; accepted_published: in such a trial by
    KernelBench's tolerances. unused_inputs: tensors that may be replaced without a change of any output. is_constant:
    all inputs give the same output. is_nondeterministic: the same input gives different outputs, beyond the tolerance.
    has_other_distribution: whether a second distribution keeps the reference finite. call_us: median time of a call of
    the reference in this process.
    """

    task_key: str
    task_hash: str
    device: str
    problem: Problem | None = None
    error: str = ""
    accepted: tuple[str, ...] = ()
    accepted_on_own: tuple[str, ...] = ()
    accepted_published: tuple[str, ...] = ()
    unused_inputs: tuple[int, ...] = ()
    is_constant: bool = False
    is_nondeterministic: bool = False
    has_other_distribution: bool | None = None
    call_us: float | None = None

    @property
    def is_fit(self) -> bool:
        """The task runs, and tells a program from an answer that knows nothing."""
        return self.problem is None and not (self.accepted or self.is_constant or self.is_nondeterministic)

    @property
    def is_below_noise_floor(self) -> bool:
        """The reference takes less time than the judge's two clocks may differ by."""
        return self.call_us is not None and self.call_us < NOISE_FLOOR_US

    @property
    def warnings(self) -> tuple[str, ...]:
        """The findings in words, as `Task.warnings` has them; those of the published rule are apart."""
        found = []
        if self.problem == "out_of_memory":
            found.append(f"does not fit, with what judging it takes, into the memory of {self.device}")
        if self.problem == "does_not_run":
            found.append(f"the reference does not run: {self.error}")
        if self.is_constant:
            found.append("unfit: all inputs give the same output")
        elif self.accepted:
            found.append(f"unfit: {_listed(self.accepted)} would be judged correct")
        if self.is_nondeterministic:
            found.append("unfit: the same inputs give different outputs")
        if self.unused_inputs:
            found.append(f"no output depends on input {', '.join(map(str, self.unused_inputs))}")
        if self.is_below_noise_floor:
            found.append(f"a call takes {self.call_us:.0f} us, below the noise floor of {NOISE_FLOOR_US:.0f} us")
        return tuple(found)

    @property
    def published_warnings(self) -> tuple[str, ...]:
        """What only KernelBench's own rule lets through, in words."""
        names = [name for name in self.accepted_published if name not in self.accepted]
        if not names or self.is_constant:
            return ()
        return (f"by KernelBench's published rule {_listed(names)} would be correct (the judge rejects it)",)


def audit_task(task: Task, device: str) -> TaskAudit:
    """Audits one task. Never raises for what the task does: a task that does not run is a finding."""
    try:
        with _quiet_threads():
            needed, there = _least_bytes(task), _memory_bytes(device)
            if needed is not None and there is not None and needed > there:
                text = f"inputs alone need {needed >> 20} MB for judge and both sides, of {there >> 20} MB"
                return _failed(task, device, "out_of_memory", text)
            return _audited(Reference(task, device, _SEEDS[0]))
    except Exception as error:  # the boundary where whatever a reference raises becomes a finding
        first_line = str(error).strip().partition("\n")[0]
        text = f"{type(error).__name__}: {first_line[:300]}"
        is_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
            words in str(error).lower() for words in _OUT_OF_MEMORY
        )
        return _failed(task, device, "out_of_memory" if is_memory else "does_not_run", text)
    finally:
        gc.collect()
        if device != "cpu":
            torch.cuda.empty_cache()


def _audited(reference: Reference) -> TaskAudit:
    """Holds few tensors at a time: the published sizes fill a good part of a GPU."""
    output, again = _fresh_output(reference, _SEEDS[0]), _fresh_output(reference, _SEEDS[0])
    previous = _fresh_output(reference, _SEEDS[1])
    trial = _own_trial(reference)
    # Not by the reference's own error: for a reference that draws random numbers that is large.
    is_nondeterministic = mismatch(again, output, (None,) * len(output)) is not None
    del again
    answers = list(_null_answers(reference, trial, previous))
    on_own = {name for name, make in answers if mismatch(make(), trial.expected, trial.own_errors) is None}
    published = {name for name, make in answers if published_mismatch(make(), output) is None}
    call_us = _call_us(reference, trial)
    unused = _unused_inputs(reference, trial.inputs, output)
    is_constant = _same(output, previous)
    del trial, previous, answers
    accepted, varied = _accepted_elsewhere(reference, on_own, output)
    return TaskAudit(
        task_key=reference.task.key,
        task_hash=reference.task.hash,
        device=_named(str(reference.device)),
        accepted=tuple(sorted(accepted)),
        accepted_on_own=tuple(sorted(on_own)),
        accepted_published=tuple(sorted(published)),
        unused_inputs=unused,
        is_constant=is_constant and varied is not False,
        is_nondeterministic=is_nondeterministic,
        has_other_distribution=varied is not None,
        call_us=call_us,
    )


def _own_trial(reference: Reference) -> Trial:
    trial = reference.trial(_SEEDS[0], is_varied=False)
    assert trial is not None, "the task's own distribution always gives a trial"
    return trial


def _accepted_elsewhere(
    reference: Reference, names: set[str], output: Sequence[torch.Tensor]
) -> tuple[set[str], bool | None]:
    """Those of the answers `names` that also pass on the second distribution, and whether it gives `output` again.

    None, and all of `names`, where there is no second distribution.
    """
    before = reference.trial(_SEEDS[1], is_varied=True)
    if before is None:
        return names, None
    previous = [e.to(form.dtype) for e, form in zip(before.expected, reference.output_forms, strict=True)]
    del before
    trial = reference.trial(_SEEDS[0], is_varied=True)
    if trial is None:
        return names, None
    passed = {
        name
        for name, make in _null_answers(reference, trial, previous)
        if name in names and mismatch(make(), trial.expected, trial.own_errors) is None
    }
    return passed, mismatch(previous, output, trial.own_errors) is None


def _fresh_output(reference: Reference, seed: int) -> list[torch.Tensor]:
    return _outputs(reference, reference.make_inputs(seed))


def _null_answers(
    reference: Reference, trial: Trial, previous: Sequence[torch.Tensor]
) -> Iterator[tuple[str, Callable[[], Sequence[torch.Tensor]]]]:
    """Names and makers of answers to `trial` that no computation is needed for.

    previous: outputs for other inputs of the same distribution. An input is an answer where it has as many elements and
    the dtype of the (only) output.
    """
    yield "zeros", lambda: [torch.zeros_like(tensor) for tensor in previous]
    yield "a constant", lambda: [torch.full_like(tensor, _typical(tensor)) for tensor in previous]
    yield "the previous output", lambda: previous
    forms = reference.output_forms
    for index, tensor in enumerate(trial.inputs):
        if len(forms) == 1 and tensor.numel() == forms[0].numel() and tensor.dtype == forms[0].dtype:
            yield f"a copy of input {index}", lambda tensor=tensor: [tensor.reshape(forms[0].shape)]


def _typical(tensor: torch.Tensor) -> float:
    """The mean of the finite values, for a constant answer."""
    total = count = 0.0
    for part in chunks(tensor):
        finite = part[part.isfinite()]
        total += float(finite.sum(dtype=torch.float64))
        count += finite.numel()
    mean = total / max(count, 1)
    return mean if tensor.is_floating_point() else round(mean)


def _unused_inputs(
    reference: Reference, inputs: Sequence[torch.Tensor], before: Sequence[torch.Tensor]
) -> tuple[int, ...]:
    """Inputs whose replacement, by another draw and by another scale, leaves every output as it was, bit for bit.

    (`plausibility` probes single elements, for a share; here all elements change, so nothing is missed by chance.)
    """
    unused = []
    for index, tensor in enumerate(inputs):
        if tensor.numel() == 0 or not _is_ignored(
            reference, inputs, index, reference.make_inputs(_SEEDS[1])[index], before
        ):
            continue
        if not tensor.is_floating_point() or _is_ignored(reference, inputs, index, tensor * -0.8 + 10.0, before):
            unused.append(index)
    return tuple(unused)


def _is_ignored(
    reference: Reference,
    inputs: Sequence[torch.Tensor],
    index: int,
    new: torch.Tensor,
    before: Sequence[torch.Tensor],
) -> bool:
    if new.shape != inputs[index].shape or same_bits(new, inputs[index]):
        return False
    changed = [new if place == index else tensor for place, tensor in enumerate(inputs)]
    try:
        return _same(_outputs(reference, changed), before)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, IndexError):
        return False  # it reads the input, if only to refuse it


def _outputs(reference: Reference, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """What the reference makes of copies of `inputs`, apart from them."""
    given = [tensor.clone() for tensor in inputs]
    inside = {tensor.untyped_storage().data_ptr() for tensor in given}
    outputs = reference.outputs(given)
    return [tensor.clone() if tensor.untyped_storage().data_ptr() in inside else tensor for tensor in outputs]


def _same(some: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(same_bits(one, other) for one, other in pairs)


def _call_us(reference: Reference, trial: Trial) -> float:
    """Median time of a call on warm caches, in microseconds; on a GPU from launch to idle."""
    taken = []
    for _ in range(_WARM_UPS + _TIMED_CALLS):
        given = [tensor.clone() for tensor in trial.inputs]
        _synchronize(reference)
        started = time.perf_counter()
        reference.outputs(given)
        _synchronize(reference)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken[_WARM_UPS:])) * 1e6


def _synchronize(reference: Reference) -> None:
    if reference.device.type == "cuda":
        torch.cuda.synchronize(reference.device)


def _least_bytes(task: Task) -> int | None:
    """Memory that every evaluation of the task needs, by the sizes that its source states; None if it states none."""
    elements = input_elements(task.source)
    return None if elements is None else 4 * _COPIES * elements


def _memory_bytes(device: str) -> int | None:
    """Memory of the device: all of a GPU's, what is available now of a CPU's; None where it is not told."""
    if device != "cpu":
        return torch.cuda.get_device_properties(device).total_memory
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return None
    with contextlib.suppress(OSError), open("/proc/meminfo") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _failed(task: Task, device: str, problem: Problem, text: str) -> TaskAudit:
    return TaskAudit(task_key=task.key, task_hash=task.hash, device=_named(device), problem=problem, error=text)


def _named(device: str) -> str:
    return f"{device} ({device_name(device)})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@contextlib.contextmanager
def _quiet_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
