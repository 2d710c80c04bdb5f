import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

SOURCE = """
#include <algorithm>
#include <cmath>
torch::Tensor fused_rms_gate(torch::Tensor x, torch::Tensor gate, torch::Tensor weight) {
    auto out = torch::empty_like(x);
    const int64_t rows = x.size(0), cols = x.size(1);
    const float* w = weight.data_ptr<float>();
    for (int64_t r = 0; r < rows; ++r) {
        const float* px = x.data_ptr<float>() + r * cols;
        const float* pg = gate.data_ptr<float>() + r * cols;
        float* po = out.data_ptr<float>() + r * cols;
        float partial[16] = {0};
        int64_t c = 0;
        for (; c + 16 <= cols; c += 16)
            for (int lane = 0; lane < 16; ++lane) partial[lane] += px[c + lane] * px[c + lane];
        float total = 0;
        for (; c < cols; ++c) total += px[c] * px[c];
        for (float part : partial) total += part;
        const float inverse = 1.0f / std::sqrt(total / cols + 1e-5f);
        for (int64_t i = 0; i < cols; ++i) {
            const float opened = std::min(std::max(0.5f + 0.25f * pg[i], 0.0f), 1.0f);
            po[i] = px[i] * inverse * w[i] * opened + px[i] * (1.0f - opened);
        }
    }
    return out;
}
"""
extension = load_inline(
    name="starter_fused_rms_gate",
    cpp_sources=SOURCE,
    functions=["fused_rms_gate"],
    extra_cflags=["-O3", "-march=native", "-fno-math-errno"],
)


class ModelNew(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim))

    def forward(self, x, gate):
        return extension.fused_rms_gate(x.contiguous(), gate.contiguous(), self.weight.detach())
