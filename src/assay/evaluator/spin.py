"""A kernel that keeps every thread slot of a GPU busy for a given time, so that host launches queue up behind it.

It fills the device (two blocks of 1,024 threads a multiprocessor): no kernel on another stream can run beside it, so no
work can be done in the shadow before the start event. Written as PTX and loaded through the driver: no compiler is
needed. Copy engines are not held back.
"""

import ctypes

import torch

_PTX = b"""
.version 7.0
.target sm_70
.address_size 64
.visible .entry assay_spin(.param .u64 cycles)
{
    .reg .pred %p;
    .reg .u64 %limit, %start, %now;
    ld.param.u64 %limit, [cycles];
    mov.u64 %start, %clock64;
again:
    mov.u64 %now, %clock64;
    sub.u64 %now, %now, %start;
    setp.lt.u64 %p, %now, %limit;
    @%p bra again;
    ret;
}
"""
_THREADS = 1024
_BLOCKS_A_PROCESSOR = 2
_CYCLES_A_US = 1800  # about the highest clock of current devices: the spin is at least as long as asked for
_functions: dict[int, tuple[ctypes.c_void_p, int]] = {}


def prepare(device: int) -> None:
    """Loads the kernel on `device`, whose context must be current."""
    driver = ctypes.CDLL("libcuda.so.1")
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    _check(driver.cuModuleLoadData(ctypes.byref(module), _PTX), "cuModuleLoadData")
    _check(driver.cuModuleGetFunction(ctypes.byref(function), module, b"assay_spin"), "cuModuleGetFunction")
    blocks = torch.cuda.get_device_properties(device).multi_processor_count * _BLOCKS_A_PROCESSOR
    _functions[device] = function, blocks


def launch(device: int, stream: int, duration_us: float) -> None:
    """Queues the spin on `stream` (a raw stream handle)."""
    function, blocks = _functions[device]
    cycles = ctypes.c_uint64(int(duration_us * _CYCLES_A_US))
    parameters = (ctypes.c_void_p * 1)(ctypes.cast(ctypes.byref(cycles), ctypes.c_void_p))
    status = ctypes.CDLL("libcuda.so.1").cuLaunchKernel(
        function, blocks, 1, 1, _THREADS, 1, 1, 0, ctypes.c_void_p(stream), parameters, None
    )
    _check(status, "cuLaunchKernel")


def _check(status: int, what: str) -> None:
    if status != 0:
        raise RuntimeError(f"{what} failed with CUDA error {status}")
