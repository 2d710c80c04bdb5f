"""The Triton kernels of a decoding step against torch's operations.

They need a GPU, or Triton's interpreter (3.6 with numpy below 2.4):
`TRITON_INTERPRET=1 pytest -m gpu tests/policies/test_decode_kernels.py`.
"""

import os
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from assay.policies import drawing
from assay.policies.fused_step import FusedModel, StepCache, _KernelAttention, _PlainAttention

pytestmark = pytest.mark.gpu
kernels = pytest.importorskip("assay.policies.decode_kernels", exc_type=ImportError)
DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
DTYPE = torch.float32 if DEVICE == "cpu" else torch.bfloat16
CLOSE: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-4} if DEVICE == "cpu" else {"atol": 3e-2, "rtol": 3e-2}


@pytest.mark.parametrize("heads", [(14, 2), (9, 3), (4, 4), (16, 8)])
@pytest.mark.parametrize("lengths", [(100, 0), (3, 70), (128, 63)])
@pytest.mark.parametrize("size", [16, 64, 80])
@pytest.mark.parametrize("is_normed", [False, True])
def test_attention_equals_that_of_torch(heads: tuple[int, int], lengths: tuple[int, int], size: int, is_normed: bool):
    torch.manual_seed(0)
    (H, K), (filled, length), B, P, S = heads, lengths, 3, 128, 96
    normal: dict[str, Any] = {"device": DEVICE, "dtype": DTYPE}
    caches = []
    prompt, suffix = torch.randn(2, K, P, size, **normal), torch.randn(2, K, B, S, size, **normal)
    angles = torch.rand(P + S, size // 2, device=DEVICE).repeat(1, 2)
    sin = angles.sin()
    sin[:, : size // 2] *= -1
    for _ in range(2):
        caches.append(
            StepCache(
                prompt=[prompt],
                suffix=[suffix.clone()],
                prompt_length_1=torch.tensor([filled], device=DEVICE),
                length_1=torch.tensor([length], device=DEVICE),
                cos_CD=angles.cos().to(DTYPE),
                sin_CD=sin.to(DTYPE),
            )
        )
    inner = SimpleNamespace()
    if is_normed:
        weight = torch.randn(size, **normal)
        norm = SimpleNamespace(weight=weight, variance_epsilon=1e-6)
        inner = SimpleNamespace(q_norm=norm, k_norm=norm)
    layer: Any = SimpleNamespace(attention=inner, scaling=size**-0.5)
    model: Any = SimpleNamespace(_kernels=kernels, query_heads=H, heads=K, head_size=size, dtype=DTYPE)
    model._split = partial(FusedModel._split, model)
    qkv = torch.randn(B, (H + 2 * K) * size, **normal)
    found = [
        kind(model, cache)(layer, qkv.clone(), cache.prompt[0], cache.suffix[0])
        for kind, cache in zip((_KernelAttention, _PlainAttention), caches, strict=True)
    ]
    torch.testing.assert_close(found[0], found[1], **CLOSE)
    torch.testing.assert_close(caches[0].suffix[0], caches[1].suffix[0], **CLOSE)


def test_the_gate_equals_that_of_torch():
    x = torch.randn(5, 2 * 3001, device=DEVICE, dtype=DTYPE)
    gate, up = x.chunk(2, dim=-1)
    torch.testing.assert_close(kernels.gated(x), torch.nn.functional.silu(gate) * up, **CLOSE)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 1.7])
@pytest.mark.parametrize("vocabulary", [7, 1024, 5001])
def test_draws_equal_those_of_torch(temperature: float, vocabulary: int, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(1)
    logits = (3 * torch.randn(50, vocabulary)).to(DTYPE)
    logits[:, ::3] = -torch.inf
    logits[0, 1:] = -torch.inf
    logits[0, 0] = -1e4
    uniforms = torch.rand(50, dtype=torch.float64)
    uniforms[1], uniforms[2] = 0.0, 1 - 2**-53
    tokens, logprobs = kernels.draw(logits.to(DEVICE), uniforms.to(DEVICE), temperature)
    monkeypatch.setattr(drawing, "kernels_for", lambda device: None)
    theirs, their_logprobs = drawing.draw_tokens(logits, uniforms, temperature, 1.0)
    same = tokens.cpu() == theirs
    assert same.sum() >= 49  # one may lie on an edge
    torch.testing.assert_close(logprobs.cpu()[same], their_logprobs[same], atol=1e-4, rtol=1e-4)
    assert torch.isfinite(logprobs).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_row_without_finite_logits_gets_no_number(bad: float):
    logits = torch.randn(3, 3000, device=DEVICE, dtype=DTYPE)
    logits[1, 4] = bad
    tokens, logprobs = kernels.draw(logits, torch.rand(3, dtype=torch.float64, device=DEVICE), 0.8)
    assert logprobs.isnan().tolist() == [False, True, False]
    assert 0 <= tokens[1] < 3000
