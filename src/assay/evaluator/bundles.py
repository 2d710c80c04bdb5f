"""Tensors that two processes see: a bundle is one block of memory, allocated by the judge, with many tensors in it.

On a CPU the block is a sealed memfd (the receiver cannot shrink it under the judge's feet); on CUDA it is a plain
driver allocation opened through CUDA IPC. Only a descriptor or a 64-byte handle and a layout travel, as JSON: the judge
never unpickles anything, and never opens memory that a runner has allocated.
"""

import ctypes
import fcntl
import mmap
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

_ALIGNMENT = 256
_LARGE_BYTES = 1 << 28
_OUT_OF_MEMORY = 2
_RELEASE_S = 3.0
_SEALS = 0x0002 | 0x0004  # F_SEAL_SHRINK | F_SEAL_GROW
_F_ADD_SEALS = 1033


@dataclass(frozen=True)
class Slot:
    """Where one tensor lies in a block. `stride` is in elements; `offset` and `nbytes` in bytes."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str
    offset: int
    nbytes: int


@dataclass(frozen=True)
class Layout:
    """The slots of a block and its size in bytes."""

    slots: tuple[Slot, ...]
    nbytes: int

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form."""
        rows = [[list(s.shape), list(s.stride), s.dtype, s.offset, s.nbytes] for s in self.slots]
        return {"slots": rows, "nbytes": self.nbytes}

    @staticmethod
    def from_json(document: dict[str, Any]) -> "Layout":
        """Reads `to_json`'s form."""
        slots = tuple(Slot(tuple(r[0]), tuple(r[1]), r[2], r[3], r[4]) for r in document["slots"])
        return Layout(slots, document["nbytes"])


def plan(tensors: Sequence[torch.Tensor]) -> Layout:
    """A layout with room for `tensors`. Dense tensors keep their strides, others become contiguous."""
    slots: list[Slot] = []
    offset = 0
    for tensor in tensors:
        stride = _dense_stride(tensor)
        nbytes = tensor.numel() * tensor.element_size()
        slots.append(Slot(tuple(tensor.shape), stride, str(tensor.dtype).removeprefix("torch."), offset, nbytes))
        offset += -(-max(nbytes, 1) // _ALIGNMENT) * _ALIGNMENT
    return Layout(tuple(slots), max(offset, _ALIGNMENT))


def _dense_stride(tensor: torch.Tensor) -> tuple[int, ...]:
    expected = 1
    for size, stride in sorted(zip(tensor.shape, tensor.stride(), strict=True), key=lambda pair: pair[1]):
        if size == 1:
            continue
        if stride != expected:
            return tuple(torch.empty(tensor.shape, device="meta").stride())
        expected *= size
    return tuple(tensor.stride())


def _views(block: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
    """Typed views of a one-dimensional uint8 tensor `block`."""
    views = []
    for slot in layout.slots:
        flat = block[slot.offset : slot.offset + slot.nbytes].view(getattr(torch, slot.dtype))
        views.append(flat.as_strided(slot.shape, slot.stride))
    return views


class Bundle(Protocol):
    """A block that this process owns or has opened."""

    tensors: list[torch.Tensor]

    def handle(self) -> tuple[dict[str, Any], tuple[int, ...]]:
        """What another process needs to open it: a JSON document and descriptors."""
        ...

    def poison(self) -> None:
        """Fills the block with a pattern that is NaN in every float type and implausible as an integer."""
        ...

    def close(self) -> None:
        """Gives the memory back."""
        ...


class CpuBundle:
    """Shared memory on the host."""

    def __init__(self, layout: Layout, descriptor: int) -> None:
        self._layout = layout
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, layout.nbytes)
        self._block: torch.Tensor | None = torch.frombuffer(self._map, dtype=torch.uint8)
        self.tensors = _views(self._block, layout)

    @classmethod
    def create(cls, layout: Layout) -> "CpuBundle":
        """Allocates a block of the layout's size."""
        descriptor = os.memfd_create("assay-bundle", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, layout.nbytes)
        fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
        return cls(layout, descriptor)

    @classmethod
    def open(cls, document: dict[str, Any], descriptors: Sequence[int]) -> "CpuBundle":
        """Opens what `handle` described."""
        return cls(Layout.from_json(document["layout"]), descriptors[document["descriptor"]])

    def handle(self) -> tuple[dict[str, Any], tuple[int, ...]]:
        """See `Bundle.handle`."""
        return {"layout": self._layout.to_json(), "descriptor": 0}, (self._descriptor,)

    def poison(self) -> None:
        """See `Bundle.poison`."""
        if self._block is not None:
            self._block.fill_(0xFF)

    def close(self) -> None:
        """Closes the descriptor; the pages go when the last view and the last process have gone."""
        self.tensors = []
        self._block = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class CudaBundle:
    """Device memory, shared through CUDA IPC with plain driver allocations (so that a handle names exactly one
    block).
    """

    def __init__(self, layout: Layout, pointer: int, device: int, *, is_owner: bool) -> None:
        self._layout = layout
        self._pointer = pointer
        self._device = device
        self._is_owner = is_owner
        self._block: torch.Tensor | None = torch.as_tensor(_CudaArray(pointer, layout.nbytes), device=f"cuda:{device}")
        self.tensors = _views(self._block, layout)

    @classmethod
    def create(cls, layout: Layout, device: int) -> "CudaBundle":
        """Allocates a block on `device`."""
        _make_current(device)
        if layout.nbytes > _LARGE_BYTES:
            torch.cuda.empty_cache()  # what torch keeps for later is not free for the driver
        pointer = ctypes.c_uint64()
        deadline = time.monotonic() + _RELEASE_S
        while status := _driver().cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(layout.nbytes)):
            if status != _OUT_OF_MEMORY or time.monotonic() > deadline:
                _check(status, "cuMemAlloc")
            time.sleep(0.05)  # a killed process gives its memory back a little later
        return cls(layout, pointer.value, device, is_owner=True)

    @classmethod
    def open(cls, document: dict[str, Any], device: int) -> "CudaBundle":
        """Opens what `handle` described."""
        _make_current(device)
        handle = _IpcHandle.from_buffer_copy(bytes.fromhex(document["ipc"]))
        pointer = ctypes.c_uint64()
        lazy_peer_access = 1
        status = _driver().cuIpcOpenMemHandle_v2(ctypes.byref(pointer), handle, ctypes.c_uint(lazy_peer_access))
        _check(status, "cuIpcOpenMemHandle")
        return cls(Layout.from_json(document["layout"]), pointer.value, device, is_owner=False)

    def handle(self) -> tuple[dict[str, Any], tuple[int, ...]]:
        """See `Bundle.handle`."""
        handle = _IpcHandle()
        _check(_driver().cuIpcGetMemHandle(ctypes.byref(handle), ctypes.c_uint64(self._pointer)), "cuIpcGetMemHandle")
        return {"layout": self._layout.to_json(), "ipc": bytes(handle).hex()}, ()

    def poison(self) -> None:
        """See `Bundle.poison`."""
        if self._block is not None:
            self._block.fill_(0xFF)

    def close(self) -> None:
        """Frees or closes the block."""
        self.tensors = []
        self._block = None
        if self._pointer:
            torch.cuda.synchronize(self._device)
            if self._is_owner:
                _check(_driver().cuMemFree_v2(ctypes.c_uint64(self._pointer)), "cuMemFree")
            else:
                _check(_driver().cuIpcCloseMemHandle(ctypes.c_uint64(self._pointer)), "cuIpcCloseMemHandle")
            self._pointer = 0


def allocate(layout: Layout, device: torch.device) -> Bundle:
    """A new block on `device`."""
    return CudaBundle.create(layout, device.index or 0) if device.type == "cuda" else CpuBundle.create(layout)


class _IpcHandle(ctypes.Structure):
    _fields_ = (("reserved", ctypes.c_char * 64),)


class _CudaArray:
    """The interface through which torch takes over a raw device pointer without copying."""

    def __init__(self, pointer: int, nbytes: int) -> None:
        self.__cuda_array_interface__ = {
            "shape": (nbytes,),
            "typestr": "|u1",
            "data": (pointer, False),
            "version": 3,
            "strides": None,
        }


def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _make_current(device: int) -> None:
    torch.cuda.set_device(device)
    torch.zeros(1, device=f"cuda:{device}")  # the runtime makes the primary context current on this thread


def _check(status: int, what: str) -> None:
    if status == _OUT_OF_MEMORY:
        raise torch.OutOfMemoryError(f"{what}: out of device memory")
    if status != 0:
        raise RuntimeError(f"{what} failed with CUDA error {status}")
