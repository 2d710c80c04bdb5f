"""A task's reference as the judge holds it: secret inputs, expected outputs, parameters. Runs no candidate code."""

import contextlib
import copy
import random
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from assay.core.errors import TaskError
from assay.core.records import Task
from assay.evaluator.correctness import Tolerance, error_between, floor, same_bits
from assay.evaluator.trees import UnsupportedValue, flatten, unflatten

_ORACLE_MEMORY_SHARE = 0.25


@dataclass(frozen=True)
class Trial:
    """One set of inputs with what must come out.

    inputs: pristine tensors, never given away (buffers are filled with copies); expected: float64 where possible;
    own_errors: the error of the reference at its run dtype; mutated: what the reference leaves in its inputs, None if
    it leaves them alone.
    """

    inputs: tuple[torch.Tensor, ...]
    expected: tuple[torch.Tensor, ...]
    own_errors: tuple[Tolerance | None, ...]
    mutated: tuple[torch.Tensor, ...] | None


class Reference:
    """The reference program of one task on one device."""

    def __init__(self, task: Task, device: str, init_seed: int) -> None:
        """Runs the task's source; raises TaskError that names the task if any part of it fails."""
        self.task = task
        self.device = torch.device(device)
        self.init_seed = init_seed
        try:
            self._construct()
            self._run_once()
        except TaskError:
            raise
        except UnsupportedValue as error:
            text = f"task {task.key}: its inputs or outputs hold {error}; use tensors, numbers, lists, tuples"
            raise TaskError(text) from error
        except torch.OutOfMemoryError as error:
            raise TaskError(f"task {task.key} does not fit into the memory of {device}: {error}") from error
        except Exception as error:  # whatever a task's own code raises is the task's fault
            raise TaskError(f"task {task.key} does not run: {type(error).__name__}: {error}") from error

    def _construct(self) -> None:
        self._module = types.ModuleType(f"assay_task_{self.task.hash}")
        with self._randomness(self.init_seed):
            exec(compile(self.task.source, f"<task {self.task.key}>", "exec"), self._module.__dict__)
            self.init_skeleton, init_tensors = flatten(list(self._module.get_init_inputs()))
            self.init_tensors = [tensor.to(self.device) for tensor in init_tensors]
            torch.manual_seed(self.init_seed)
            model = self._module.Model(*unflatten(self.init_skeleton, init_tensors))
        self.model: torch.nn.Module = model.to(self.device)
        self.state = {name: tensor.detach() for name, tensor in self.model.state_dict().items()}

    def _run_once(self) -> None:
        """Learns the forms of inputs and outputs, the peak of memory, and whether inputs are changed."""
        first = self.make_inputs(self.init_seed)
        self.input_skeleton = self._skeleton
        self.input_forms = [_form(tensor) for tensor in first]
        given = [tensor.clone() for tensor in first]
        is_cuda = self.device.type == "cuda"
        if is_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        with torch.no_grad():
            self.output_skeleton, outputs = self._call(self.model, given)
            self.is_random = self._gives_others(first, outputs)
        self.peak_bytes = torch.cuda.max_memory_allocated(self.device) if is_cuda else 0
        self.mutates_inputs = not all(same_bits(now, before) for now, before in zip(given, first, strict=True))
        self.output_forms = [_form(tensor) for tensor in outputs]

    def _gives_others(self, inputs: list[torch.Tensor], outputs: list[torch.Tensor]) -> bool:
        """Whether a second call on the same inputs gives other outputs than `outputs`."""
        _skeleton, again = self._call(self.model, [tensor.clone() for tensor in inputs])
        errors = [(error_between(one, other), floor(other.dtype)) for one, other in zip(again, outputs, strict=True)]
        return any(found is None or found.rms > 10 * allowed.rms for found, allowed in errors)

    @property
    def nbytes(self) -> int:
        """Memory of one set of inputs and outputs."""
        return sum(form.numel() * form.element_size() for form in (*self.input_forms, *self.output_forms))

    def make_inputs(self, seed: int) -> list[torch.Tensor]:
        """Fresh values from the task's own `get_inputs`, generated on the device."""
        with self._randomness(seed), torch.device(self.device):
            values = self._module.get_inputs()
        self._skeleton, tensors = flatten(list(values))
        inputs = [tensor.detach().to(self.device) for tensor in tensors]
        forms = [_form(tensor) for tensor in inputs]
        known = getattr(self, "input_forms", forms)
        if [(f.shape, f.dtype) for f in forms] != [(f.shape, f.dtype) for f in known]:
            raise TaskError(f"task {self.task.key}: get_inputs() gives other shapes at every call; fix its sizes")
        return inputs

    def outputs(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """What the reference makes of `inputs` at its run dtype; the inputs themselves are given to it."""
        with torch.no_grad():
            return self._call(self.model, inputs)[1]

    def trial(self, seed: int, *, is_varied: bool) -> Trial | None:
        """Inputs and expected outputs; `is_varied` takes another distribution than the task's own.

        None if no variation keeps the reference finite (then the task's own distribution is all there is).
        """
        inputs = self.make_inputs(seed)
        if not is_varied:
            return self._expect(inputs)
        generator = torch.Generator(device=self.device).manual_seed(seed ^ 0x5EED)
        for variation in _VARIATIONS:
            varied = [variation(tensor, generator) for tensor in inputs]
            try:
                found = self._expect(varied)
            except Exception:  # a reference may refuse values that its own inputs never have
                continue
            is_sound = all(bool(output.isfinite().all()) for output in found.expected if output.is_floating_point())
            errors = zip(found.own_errors, self.output_forms, strict=True)
            if is_sound and all(own is None or own.rms <= 100 * floor(output.dtype).rms for own, output in errors):
                return found
        return None

    def _expect(self, inputs: list[torch.Tensor]) -> Trial:
        given = [tensor.clone() for tensor in inputs]
        with torch.no_grad():
            _skeleton, outputs = self._call(self.model, given)
            inside = {tensor.untyped_storage().data_ptr() for tensor in given}
            outputs = [
                output.clone() if output.untyped_storage().data_ptr() in inside else output for output in outputs
            ]
        mutated = tuple(given) if self.mutates_inputs else None
        del given
        exact = self._in_double(inputs)
        if exact is None:
            return Trial(tuple(inputs), tuple(outputs), (None,) * len(outputs), mutated)
        own = tuple(error_between(output, e) for output, e in zip(outputs, exact, strict=True))
        return Trial(tuple(inputs), tuple(exact), own, mutated)

    def _in_double(self, inputs: list[torch.Tensor]) -> list[torch.Tensor] | None:
        """The outputs in float64, or None where memory or an operator does not allow it."""
        involved = [*inputs, *self.state.values(), *self.output_forms]
        needed = 3 * sum(8 * tensor.numel() for tensor in involved)
        if self.device.type == "cuda" and needed > _ORACLE_MEMORY_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return None
        if any(tensor.is_complex() for tensor in involved):
            return None
        try:
            model = copy.deepcopy(self.model).double()
            doubled = [tensor.double() if tensor.is_floating_point() else tensor.clone() for tensor in inputs]
            with torch.no_grad():
                skeleton, exact = self._call(model, doubled)
        except Exception:  # a reference may insist on its own dtype: then there is no better oracle than itself
            return None
        is_same_form = skeleton == self.output_skeleton and all(
            e.shape == output.shape and (e.is_floating_point() == output.is_floating_point())
            for e, output in zip(exact, self.output_forms, strict=True)
        )
        return exact if is_same_form else None

    def _call(self, model: torch.nn.Module, tensors: list[torch.Tensor]) -> tuple[dict[str, Any], list[torch.Tensor]]:
        return flatten(model(*unflatten(self.input_skeleton, tensors)))

    @contextlib.contextmanager
    def _randomness(self, seed: int) -> Iterator[None]:
        """Seeds every generator that a task may draw from, and puts them back afterwards."""
        python_state, numpy_state = random.getstate(), np.random.get_state()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            try:
                yield
            finally:
                random.setstate(python_state)
                np.random.set_state(numpy_state)


def _form(tensor: torch.Tensor) -> torch.Tensor:
    """Shape, strides and dtype of `tensor` without its memory."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


# -- other distributions than the task's own ------------------------------------------------------------------


def _with_signs(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random signs and larger values on every element; only a negative factor where zeros or symmetry are structure."""
    if not tensor.is_floating_point():
        return tensor
    if _is_structured(tensor):
        return tensor * -1.3
    signs = torch.randint(0, 2, tensor.shape, generator=generator, device=tensor.device, dtype=torch.int8) * 2 - 1
    return tensor * signs * 1.6


def _scaled(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A smaller positive scale: stays inside domains such as probabilities or logarithms."""
    del generator
    return tensor * 0.6 if tensor.is_floating_point() else tensor


_VARIATIONS = (_with_signs, _scaled)


def _is_structured(tensor: torch.Tensor) -> bool:
    if tensor.numel() and float((tensor == 0).float().mean()) > 0.02:
        return True
    return tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1] and torch.equal(tensor, tensor.T)
