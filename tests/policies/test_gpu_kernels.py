"""Which machines decode with Triton kernels."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from assay.policies import gpu_kernels
from assay.policies.gpu_kernels import kernels_for


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """An installed Triton whose kernels run anywhere."""
    kernels = SimpleNamespace(gated=lambda x: x)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(gpu_kernels, "find_spec", lambda name: kernels)
    monkeypatch.setattr(gpu_kernels.importlib, "import_module", lambda name: kernels)
    gpu_kernels._compiling_kernels.cache_clear()
    yield kernels
    gpu_kernels._compiling_kernels.cache_clear()


def test_a_cpu_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert kernels_for(torch.device("cpu")) is None


def test_kernels_that_compile_are_used(triton: Any):
    assert kernels_for(torch.device("cpu")) is triton


def test_where_triton_cannot_compile_torch_does_it_and_the_log_says_why(triton: Any, caplog: pytest.LogCaptureFixture):
    def fails(x: torch.Tensor) -> None:
        raise RuntimeError("Failed to find C compiler.\nmore")

    triton.gated = fails
    with caplog.at_level(logging.WARNING):
        assert kernels_for(torch.device("cpu")) is None
    assert "Failed to find C compiler." in caplog.text and "more" not in caplog.text


def test_without_triton_there_are_none(triton: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_kernels, "find_spec", lambda name: None)
    assert kernels_for(torch.device("cpu")) is None
