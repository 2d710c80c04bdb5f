"""One decoding step of a Llama-like model in about ten kernels a layer, or twenty operations where there is no Triton.

Axes: B rows, H query heads, K key/value heads, g = H / K, D head size, P prompt places, S suffix places, V vocabulary.

The library's own modules take about sixty small operations a layer, and on a GPU a step of a small model is nothing
but their launches. Here projections of the same input are one matrix product, the rotation of queries and keys is one
expression, residual sums happen inside the matrix products, and nothing waits for the host, so that a whole step can be
captured in a CUDA graph. An adapter stays apart from the weights: added into bfloat16 weights, the small changes of the
first updates would round away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from assay.policies.gpu_kernels import kernels_for

FAMILIES = frozenset({"llama", "qwen2", "qwen3"})
FIXED_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})


@dataclass(frozen=True)
class StepCache:
    """What the rows of a step attend to. Padded places hold finite numbers.

    prompt: for each layer keys and values of the prompt, (2, K, P, D). suffix: for each layer those of the rows,
    (2, K, B, S, D). prompt_length_1, length_1: how many places are filled, int64 on the device; the step fills one more
    suffix place, and leaves the count to the caller. cos_CD, sin_CD: the rotation at each position.
    """

    prompt: Sequence[Tensor]
    suffix: Sequence[Tensor]
    prompt_length_1: Tensor
    length_1: Tensor
    cos_CD: Tensor
    sin_CD: Tensor


class Projection:
    """Linear maps of one input, side by side in one weight.

    The modules' own weights become parts of the joined one, so that they go on working and nothing is stored twice.
    """

    def __init__(self, owner: nn.Module, names: Sequence[str]) -> None:
        self._owner = owner
        self._names = tuple(names)
        bases = [_base(getattr(owner, name)) for name in names]
        self.sizes = [base.weight.shape[0] for base in bases]
        self.weight, self.bias = bases[0].weight.data, bases[0].bias
        if len(bases) > 1:
            self.weight = torch.cat([base.weight.data for base in bases])
            for base, part in zip(bases, self.weight.split(self.sizes), strict=True):
                base.weight.data = part
            if self.bias is not None:
                self.bias = torch.cat([base.bias.data for base in bases])
        self._factors: dict[int, tuple[Tensor, Tensor]] = {}

    def load_adapter(self, name: str, rank: int) -> None:
        """Copies the factors of the adapter `name` to where steps with `rank` read them; that place never moves."""
        if rank not in self._factors:
            ranks = rank * len(self._names)
            shapes = (ranks, self.weight.shape[1]), (ranks, self.weight.shape[0])
            self._factors[rank] = (self.weight.new_zeros(shapes[0]), self.weight.new_zeros(shapes[1]))
        down, up = self._factors[rank]
        columns = up.split(self.sizes, dim=1)
        for place, module_name in enumerate(self._names):
            module: Any = getattr(self._owner, module_name)
            block = slice(place * rank, (place + 1) * rank)
            down[block] = module.lora_A[name].weight.data
            columns[place][block] = (module.lora_B[name].weight.data * module.scaling[name]).T

    def __call__(self, x_BI: Tensor, rank: int) -> Tensor:
        """The joined outputs, (B, O), with the loaded adapter unless `rank` is 0."""
        out_BO = linear(x_BI, self.weight, self.bias)
        if rank:
            down, up = self._factors[rank]
            out_BO.addmm_(linear(x_BI, down), up)
        return out_BO

    def add_to(self, sum_BO: Tensor, x_BI: Tensor, rank: int) -> None:
        """Adds the output to `sum_BO`, in place."""
        sum_BO.addmm_(x_BI, self.weight.T)
        if self.bias is not None:
            sum_BO.add_(self.bias)
        if rank:
            down, up = self._factors[rank]
            sum_BO.addmm_(linear(x_BI, down), up)


class _Layer:
    def __init__(self, layer: Any) -> None:
        self.attention_norm, self.mlp_norm = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = Projection(layer.self_attn, ("q_proj", "k_proj", "v_proj"))
        self.out = Projection(layer.self_attn, ("o_proj",))
        self.gate_up = Projection(layer.mlp, ("gate_proj", "up_proj"))
        self.down = Projection(layer.mlp, ("down_proj",))
        self.activation = layer.mlp.act_fn
        self.attention = layer.self_attn
        self.scaling: float = layer.self_attn.scaling

    @property
    def projections(self) -> tuple[Projection, ...]:
        return self.qkv, self.out, self.gate_up, self.down


class FusedModel:
    """The decoding step of `model`, and the reading of a text, on the model's own weights."""

    def __init__(self, model: PreTrainedModel) -> None:
        core: Any = model.model
        config = model.config.get_text_config(decoder=True)
        self._model = model
        self._core = core
        with torch.inference_mode(mode=False), torch.no_grad():
            # Frozen weights take part in training too, where tensors made in inference mode are refused.
            self.layers = [_Layer(layer) for layer in core.layers]
        self.query_heads: int = config.num_attention_heads
        self.heads: int = config.num_key_value_heads
        self.head_size: int = core.layers[0].self_attn.head_dim
        self.dtype: torch.dtype = core.embed_tokens.weight.dtype
        self.device: torch.device = core.embed_tokens.weight.device
        self._is_silu = config.hidden_act == "silu"
        self._kernels = kernels_for(self.device)
        self._attention = _KernelAttention if self._kernels else _PlainAttention

    def rotation(self, positions: int) -> tuple[Tensor, Tensor]:
        """cos_CD and sin_CD of positions 0 .. C-1; sin has its first half negated, for a rotation by rolling."""
        ids = torch.arange(positions, device=self.device)[None]
        cos, sin = self._core.rotary_emb(torch.empty(0, dtype=self.dtype, device=self.device), ids)
        half = self.head_size // 2
        return cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)

    def load_adapter(self) -> int:
        """Copies the adapter that is active in the model; gives its rank, 0 where none is."""
        probe: Any = self.layers[0].attention.q_proj
        if not isinstance(probe, LoraLayer) or probe.disable_adapters or not probe.active_adapters:
            return 0
        name = probe.active_adapters[0]
        rank: int = probe.r[name]
        with torch.inference_mode(mode=False), torch.no_grad():
            for layer in self.layers:
                for projection in layer.projections:
                    projection.load_adapter(name, rank)
        return rank

    def step(self, tokens_B: Tensor, cache: StepCache, rank: int) -> Tensor:
        """Logits of the token after `tokens_B`, (B, V) in the weights' type; fills place `length_1` of the suffix.

        `rank`: of the adapter that was loaded, 0 for the base model.
        """
        x_BE = self._core.embed_tokens(tokens_B)
        attention = self._attention(self, cache)
        for layer, prompt, suffix in zip(self.layers, cache.prompt, cache.suffix, strict=True):
            qkv_BO = layer.qkv(_normed(layer.attention_norm, x_BE), rank)
            layer.out.add_to(x_BE, attention(layer, qkv_BO, prompt, suffix), rank)
            gate_up_BO = layer.gate_up(_normed(layer.mlp_norm, x_BE), rank)
            layer.down.add_to(x_BE, self._gated(layer, gate_up_BO), rank)
        return self.logits(x_BE)

    def read(self, tokens: Sequence[int], rank: int, cache: Cache | None = None) -> Tensor:
        """The last hidden states of P tokens of text, (P, E); keys and values (batch 1) go into an empty `cache`."""
        x_PE = self._core.embed_tokens(torch.tensor(tokens, device=self.device))
        cos_PD, sin_PD = self.rotation(len(tokens))
        for index, layer in enumerate(self.layers):
            qkv_PO = layer.qkv(_normed(layer.attention_norm, x_PE), rank)
            q_PHD, k_PKD, v_PKD = self._split(layer, qkv_PO)
            q_PHD, k_PKD = (_rotated(one, cos_PD[:, None], sin_PD[:, None]) for one in (q_PHD, k_PKD))
            queries, keys, values = (one.transpose(0, 1)[None] for one in (q_PHD, k_PKD, v_PKD))
            mixed_1HPD = scaled_dot_product_attention(
                queries, keys, values, is_causal=True, scale=layer.scaling, enable_gqa=True
            )
            if cache is not None:
                cache.update(keys.contiguous(), values.contiguous(), index)
            layer.out.add_to(x_PE, mixed_1HPD[0].transpose(0, 1).flatten(1), rank)
            layer.down.add_to(x_PE, self._gated(layer, layer.gate_up(_normed(layer.mlp_norm, x_PE), rank)), rank)
        return x_PE

    def logits(self, x_BE: Tensor) -> Tensor:
        """Of the tokens after those whose last hidden states these are, (B, V) in the weights' type."""
        output: Any = self._model.get_output_embeddings()
        return output(_normed(self._core.norm, x_BE))

    def _split(self, layer: _Layer, qkv_BO: Tensor) -> list[Tensor]:
        """Queries (B, H, D), keys and values (B, K, D), before the rotation."""
        heads_BHD = qkv_BO.view(len(qkv_BO), -1, self.head_size)
        queries, keys, values = heads_BHD.split([self.query_heads, self.heads, self.heads], dim=1)
        if hasattr(layer.attention, "q_norm"):
            queries, keys = _normed(layer.attention.q_norm, queries), _normed(layer.attention.k_norm, keys)
        return [queries, keys, values]

    def _gated(self, layer: _Layer, gate_up_BO: Tensor) -> Tensor:
        if self._kernels and self._is_silu:
            return self._kernels.gated(gate_up_BO)
        gate_BF, up_BF = gate_up_BO.chunk(2, dim=-1)
        return layer.activation(gate_BF).mul_(up_BF)


class _KernelAttention:
    """Attention of one step, a kernel a layer."""

    def __init__(self, model: FusedModel, cache: StepCache) -> None:
        self._kernels: Any = model._kernels
        self._cache = cache
        self._heads = model.query_heads, model.heads

    def __call__(self, layer: _Layer, qkv_BO: Tensor, prompt: Tensor, suffix: Tensor) -> Tensor:
        """(B, H D) from projections (B, (H + 2K) D); stores keys and values of the new token in `suffix`."""
        cache, norms, inner = self._cache, None, layer.attention
        if hasattr(inner, "q_norm"):
            norms = inner.q_norm.weight, inner.k_norm.weight, inner.q_norm.variance_epsilon
        lengths = cache.prompt_length_1, cache.length_1
        return self._kernels.attend(
            qkv_BO, prompt, suffix, cache.cos_CD, cache.sin_CD, lengths, self._heads, layer.scaling, norms
        )


class _PlainAttention:
    """Attention of one step by torch's operations, on any device."""

    def __init__(self, model: FusedModel, cache: StepCache) -> None:
        self._cache = cache
        self._model = model
        self._query_heads, self._heads, self._head_size = model.query_heads, model.heads, model.head_size
        self._bias_PS = _bias(cache, model.dtype)
        # The rotation at the new position for each head, (H + 2K, D); values are left as they are.
        position_1 = cache.prompt_length_1 + cache.length_1
        turned = self._query_heads + self._heads
        self._cos_HD = cache.cos_CD.index_select(0, position_1).expand(turned + self._heads, -1).clone()
        self._sin_HD = cache.sin_CD.index_select(0, position_1).expand(turned + self._heads, -1).clone()
        self._cos_HD[turned:] = 1
        self._sin_HD[turned:] = 0

    def __call__(self, layer: _Layer, qkv_BO: Tensor, prompt: Tensor, suffix: Tensor) -> Tensor:
        """As that of `_KernelAttention`."""
        heads_BHD = qkv_BO.view(len(qkv_BO), -1, self._head_size)
        if hasattr(layer.attention, "q_norm"):
            heads_BHD = torch.cat(self._model._split(layer, qkv_BO), dim=1)
        heads_BHD = _rotated(heads_BHD, self._cos_HD, self._sin_HD)
        new = heads_BHD[:, self._query_heads :].unflatten(1, (2, self._heads)).permute(1, 2, 0, 3)
        suffix.index_copy_(3, self._cache.length_1, new[:, :, :, None])
        return self._mixed(layer, heads_BHD, prompt, suffix)

    def _mixed(self, layer: _Layer, heads_BHD: Tensor, prompt: Tensor, suffix: Tensor) -> Tensor:
        """The prompt part is one product for all rows and query heads of a key head; both parts fill one array of
        scores, and share one softmax, computed in float32.
        """
        B, K, P, D = len(heads_BHD), self._heads, prompt.shape[2], self._head_size
        group = self._query_heads // K
        queries = heads_BHD[:, : self._query_heads].view(B, K, group, D).permute(1, 0, 2, 3)
        q_KBgD = torch.empty(K, B, group, D, dtype=heads_BHD.dtype, device=heads_BHD.device)
        torch.mul(queries, layer.scaling, out=q_KBgD)
        scores = q_KBgD.new_empty(K, B, group, len(self._bias_PS))
        torch.bmm(q_KBgD.view(K, B * group, D), prompt[0].mT, out=scores.view(K, B * group, -1)[..., :P])
        keys, values = suffix[0].flatten(0, 1), suffix[1].flatten(0, 1)
        torch.bmm(q_KBgD.view(K * B, group, D), keys.mT, out=scores.view(K * B, group, -1)[..., P:])
        weights = torch.softmax(scores.add_(self._bias_PS), dim=-1)
        mixed = torch.bmm(weights.view(K, B * group, -1)[..., :P], prompt[1]).view(K * B, group, D)
        mixed.baddbmm_(weights.view(K * B, group, -1)[..., P:], values)
        return mixed.view(K, B, group * D).transpose(0, 1).reshape(B, K * group * D)


def can_fuse(model: PreTrainedModel) -> bool:
    """Whether `FusedModel` computes what `model` does: a known family, dense weights, all on one device."""
    config = model.config.get_text_config(decoder=True)
    rotation = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    weights = list(model.parameters())
    return (
        config.model_type in FAMILIES
        and rotation in FIXED_ROTATIONS
        and not getattr(config, "use_sliding_window", False)
        and len({(weight.device, weight.dtype) for weight in weights}) == 1
        and weights[0].is_floating_point()
        and weights[0].device.type != "meta"
    )


def _base(module: Any) -> Any:
    return module.get_base_layer() if isinstance(module, LoraLayer) else module


def _normed(norm: Any, x: Tensor) -> Tensor:
    return rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _rotated(x_BHD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The rotation of each head; the first half of `sin` is negated."""
    return x_BHD.roll(x_BHD.shape[-1] // 2, dims=-1).mul_(sin).addcmul_(x_BHD, cos)


def _bias(cache: StepCache, dtype: torch.dtype) -> Tensor:
    """0 at filled places, minus infinity elsewhere: (P + S,)."""
    prompt, suffix = cache.prompt[0].shape[2], cache.suffix[0].shape[3]
    places = torch.arange(max(prompt, suffix), device=cache.length_1.device)
    empty = torch.cat([places[:prompt] >= cache.prompt_length_1, places[:suffix] > cache.length_1])
    return torch.zeros(prompt + suffix, dtype=dtype, device=empty.device).masked_fill_(empty, -torch.inf)
