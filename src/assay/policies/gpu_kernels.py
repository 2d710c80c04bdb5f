"""Where the Triton kernels are used: on CUDA, where Triton is installed (torch brings it there) and can compile."""

import importlib
import logging
import os
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch

log = logging.getLogger(__name__)


def kernels_for(device: torch.device) -> Any | None:
    """The module `decode_kernels` for tensors on `device`; None where torch's own operations have to do.

    Under TRITON_INTERPRET=1 Triton runs kernels on a CPU, slowly, which is how they are tested without a GPU.
    """
    is_served = device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    return _compiling_kernels(device.type) if is_served else None


@cache
def _compiling_kernels(device_type: str) -> Any | None:
    if not find_spec("triton"):
        return None
    kernels = importlib.import_module("assay.policies.decode_kernels")
    try:
        kernels.gated(torch.zeros(1, 2, device=device_type))
    except Exception as error:  # Triton needs a C compiler, and says so in several ways
        reason = str(error).strip().partition("\n")[0]
        log.warning("Triton cannot compile (%s); decoding does without its kernels, and is slower", reason)
        return None
    return kernels
