"""The runner: a forked, sandboxed process that holds one program, runs it when told to, and reports times.

Untrusted from the moment it has loaded a candidate: a candidate can rewrite everything here. So a runner never holds a
verdict, an expected output or a seed; the judge bounds its times with its own clock and compares its own copy of the
outputs. References run in the same harness, so that both sides are timed alike.

Replies carry the request's `id`. A failure of the program is the reply {"id", "error": {"kind", "message"}}.
"""

import contextlib
import importlib.util
import os
import sys
import tempfile
import time
import traceback
import types
from pathlib import Path
from typing import Any

import torch

from assay.evaluator import sandbox, spin
from assay.evaluator.bundles import Bundle, CpuBundle, CudaBundle
from assay.evaluator.channel import Channel, ChannelClosed
from assay.evaluator.trees import UnsupportedValue, flatten, unflatten
from assay.evaluator.undisturbed import OwnAccount, undisturbed_ns

_MESSAGE_LIMIT = 2000
_CACHE_DISTURBANCE_BYTES = 4 << 20


def serve(channel: Channel, options: dict[str, Any], tiers: list[str]) -> None:
    """Answers the judge until it hangs up. `tiers` of the sandbox are in force already."""
    harness = _Harness(options, tiers)
    with contextlib.suppress(ChannelClosed):
        while True:
            request, descriptors = channel.receive()
            reply: dict[str, Any] = {"id": request["id"]}
            try:
                reply |= getattr(harness, f"do_{request['op']}")(request, descriptors)
            except BaseException as error:  # the one boundary: whatever a program raises becomes a reply
                reply["error"] = {"kind": type(error).__name__[:100], "message": _describe(error)}
            channel.send(reply)


def _describe(error: BaseException) -> str:
    """The error's text and the innermost frames; an error that cannot be printed says so."""
    try:
        frames = "".join(traceback.format_tb(error.__traceback__)[-3:])
        text = str(error)[:_MESSAGE_LIMIT]
    except BaseException:
        return "(an error that cannot be printed)"
    return f"{text}\n{frames[-_MESSAGE_LIMIT:]}".strip()


class _Harness:
    """State of one runner: its device, its program, its buffers."""

    def __init__(self, options: dict[str, Any], tiers: list[str]) -> None:
        self._options = options
        self._tiers: list[str | None] = [*tiers]
        self._device_index: int | None = options["device_index"]
        self._is_cuda = self._device_index is not None
        self._device = f"cuda:{self._device_index}" if self._is_cuda else "cpu"
        self._scratch = Path(options["scratch"])
        self._model: Any = None
        self._inputs: Any = None
        self._outputs: Bundle | None = None
        self._open: list[Bundle] = []
        self._result: Any = None
        self._account = OwnAccount()
        self._disturbance = torch.empty(_CACHE_DISTURBANCE_BYTES, dtype=torch.uint8)

    def do_start(self, _request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """Pins the process and initialises its device. Nothing of a candidate is here yet."""
        os.sched_setaffinity(0, self._options["cpus"])
        torch.set_num_threads(self._options["threads"])
        os.chdir(self._scratch)
        tempfile.tempdir = str(self._scratch)
        if self._device_index is not None:
            torch.cuda.set_device(self._device_index)
            small = torch.zeros(32, 32, device=self._device)
            torch.mm(small, small)  # the matrix library takes its time to start, once a process
            torch.cuda.synchronize()
            spin.prepare(self._device_index)
        return {}

    def do_enter_sandbox(self, request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """Gives up what the program that comes next must not have."""
        os.environ.clear()
        os.environ.update(request["environment"])
        address_space = None if self._is_cuda else self._options["memory_bytes"]
        self._tiers.append(
            sandbox.set_limits(address_space_bytes=address_space, file_bytes=self._options["file_bytes"])
        )
        writable = [*sandbox.writable_paths(is_cuda=self._is_cuda), *map(Path, request["writable"])]
        self._tiers.append(sandbox.restrict_files([Path(path) for path in request["readable"]], writable))
        self._tiers.append(sandbox.filter_system_calls())
        sys.path[:] = filter(sandbox.may_read, sys.path)  # what is out of sight shall not hide what is installed
        return {"sandbox": [tier for tier in self._tiers if tier]}

    def do_load(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Executes the program's source and constructs its model.

        The model is built under the judge's initialisation seed, then given the reference's parameters where it has the
        same names and shapes.
        """
        if "cpp_extension" in request["source"]:
            _serve_built_extensions()
        module = self._execute(request["source"])
        build = getattr(module, request["class_name"], None)
        if build is None:
            raise AttributeError(f"the program defines no class {request['class_name']}")
        init_tensors = self._open_bundle(request["init"]["bundle"], descriptors)
        arguments = unflatten(request["init"]["skeleton"], [t.clone() for t in init_tensors])
        torch.manual_seed(request["init_seed"])
        model = build(*arguments)
        if isinstance(model, torch.nn.Module):
            model = model.to(self._device)
            state = self._open_bundle(request["state"]["bundle"], descriptors)
            _take_parameters(model, dict(zip(request["state"]["names"], state, strict=True)))
        self._model = model
        return {}

    def do_build(self, request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """Executes the program's source for the sake of the extensions that it compiles (a builder's only request)."""
        self._execute(request["source"])
        return {}

    def do_bind(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Opens the buffers that inputs come in and outputs go out by."""
        tensors = self._open_bundle(request["inputs"]["bundle"], descriptors)
        self._inputs = unflatten(request["inputs"]["skeleton"], tensors)
        if request["outputs"] is not None:
            self._open_bundle(request["outputs"], descriptors)
            self._outputs = self._open[-1]
        return {}

    def do_lock_down(self, _request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """No new process from here on."""
        return {"sandbox": sandbox.lock_down()}

    def do_disturb_cache(self, _request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """Fills the core's caches with something else (on a CPU; a GPU's cache is the judge's to flush)."""
        self._disturbance.add_(1)
        return {}

    def do_run(self, request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """One call of the model on what the input buffers hold now; the result is kept for `give`."""
        self._result = None
        with torch.no_grad():
            if self._device_index is None:
                before = self._account.begin()
                self._result = self._laid_out(self._model(*self._inputs))
                after = self._account.end()
                times = {"ns": undisturbed_ns(before, after, self._options["threads"])}
                return times | {"wall_ns": after.wall_ns - before.wall_ns}
            return self._run_cuda(self._device_index, request["spin_us"])

    def do_give(self, _request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """Copies the last result into the output buffers, if it has the form that they have."""
        try:
            skeleton, tensors = flatten(self._result)
        except UnsupportedValue as error:
            return {"form": None, "reason": f"the output holds {error}"}
        form = [[list(t.shape), str(t.dtype).removeprefix("torch."), str(t.device)] for t in tensors]
        expected = [] if self._outputs is None else self._outputs.tensors
        if len(expected) == len(tensors) and all(
            e.shape == t.shape and e.dtype == t.dtype and e.device == t.device and t.layout == torch.strided
            for e, t in zip(expected, tensors, strict=True)
        ):
            with torch.no_grad():
                for target, tensor in zip(expected, tensors, strict=True):
                    target.copy_(tensor)
            if self._is_cuda:
                torch.cuda.synchronize()
        return {"form": form, "skeleton": skeleton}

    def do_call(self, _request: dict[str, Any], _descriptors: list[int]) -> dict[str, Any]:
        """`run` without a spin and `give` at once: what the judge times by its own clock."""
        return self.do_run({"spin_us": 0.0}, []) | self.do_give({}, [])

    def _execute(self, source: str) -> types.ModuleType:
        path = self._scratch / "candidate.py"
        path.write_text(source)
        module = types.ModuleType("candidate")
        module.__file__ = str(path)
        sys.modules["candidate"] = module
        exec(compile(source, str(path), "exec"), module.__dict__)
        return module

    def _run_cuda(self, index: int, spin_us: float) -> dict[str, int]:
        """One call on the device; with `spin_us` > 0 the launches hide behind a spin that fills every processor.

        ns: event time on the default stream; idle_ns: the same to an event taken after the whole device is idle, so
        that work left on another stream is not lost (the judge compares the difference with the reference's); host_ns:
        how long the host took to queue the work.
        """
        stream = torch.cuda.default_stream(index)
        start, end, idle = (torch.cuda.Event(enable_timing=True) for _ in range(3))
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            if spin_us > 0:
                spin.launch(index, stream.cuda_stream, spin_us)
            start.record(stream)
            started_ns = time.perf_counter_ns()
            self._result = self._laid_out(self._model(*self._inputs))
            host_ns = time.perf_counter_ns() - started_ns
            end.record(stream)
        torch.cuda.synchronize()
        idle.record(stream)
        torch.cuda.synchronize()
        return {
            "ns": round(start.elapsed_time(end) * 1e6),
            "idle_ns": round(start.elapsed_time(idle) * 1e6),
            "host_ns": host_ns,
        }

    def _laid_out(self, result: Any) -> Any:
        """`result` with its tensors in the reference's memory layout; part of the timed call.

        A transposed view instead of the transposed values would leave the work to whoever reads it.
        """
        expected = [] if self._outputs is None else self._outputs.tensors
        if isinstance(result, torch.Tensor):
            return _in_layout(result, expected[0]) if len(expected) == 1 else result
        if type(result) is not list and not isinstance(result, tuple):
            return result
        items = result if isinstance(result, list) else [*tuple.__iter__(result)]  # what is in it, not what it says
        if len(items) == len(expected):
            laid_out = [_in_layout(t, e) for t, e in zip(items, expected, strict=True)]
            return laid_out if isinstance(result, list) else tuple(laid_out)
        return result

    def _open_bundle(self, document: dict[str, Any], descriptors: list[int]) -> list[torch.Tensor]:
        if "ipc" in document:
            bundle: Bundle = CudaBundle.open(document, self._device_index or 0)
        else:
            bundle = CpuBundle.open(document, descriptors)
        self._open.append(bundle)
        return bundle.tensors


def _serve_built_extensions() -> None:
    """Makes `load_inline` and `load` import what the builder has compiled; what it has not is compiled here."""
    from torch.utils import cpp_extension

    def served(compile_now: Any) -> Any:
        def load(name: str, *arguments: Any, **options: Any) -> Any:
            folder = Path(os.environ["TORCH_EXTENSIONS_DIR"]) / name
            libraries = sorted(folder.glob(f"{name}*.so"))
            if libraries and options.get("is_python_module", True):
                return _import_library(name, libraries[-1])
            options.setdefault("build_directory", tempfile.mkdtemp())
            return compile_now(name, *arguments, **options)

        return load

    cpp_extension.load_inline = served(cpp_extension.load_inline)
    cpp_extension.load = served(cpp_extension.load)


def _import_library(name: str, path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _in_layout(tensor: Any, expected: torch.Tensor) -> Any:
    """A copy with the strides of `expected`, or `tensor` itself where it has them already (or is something else)."""
    if not isinstance(tensor, torch.Tensor) or tensor.shape != expected.shape or tensor.layout != torch.strided:
        return tensor
    strides = zip(tensor.shape, tensor.stride(), expected.stride(), strict=True)
    if all(size <= 1 or own == wanted for size, own, wanted in strides):
        return tensor
    return torch.empty_like(expected, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _take_parameters(model: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Copies the reference's parameters and buffers over where all names and shapes are the same."""
    own = model.state_dict()
    if own.keys() == state.keys() and all(own[name].shape == tensor.shape for name, tensor in state.items()):
        model.load_state_dict(state)
