"""Where the Triton kernels are used: on CUDA, where Triton is installed (torch brings it there)."""

import importlib
import os
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch


def kernels_for(device: torch.device) -> Any | None:
    """The module `decode_kernels` for tensors on `device`; None where torch's own operations have to do.

    Under TRITON_INTERPRET=1 Triton runs kernels on a CPU, slowly, which is how they are tested without a GPU.
    """
    return _kernels() if device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1" else None


@cache
def _kernels() -> Any | None:
    return importlib.import_module("assay.policies.decode_kernels") if find_spec("triton") else None
