import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

SOURCE = """
#include <algorithm>
#include <cmath>
torch::Tensor fused_chain(torch::Tensor x, torch::Tensor y) {
    auto out = torch::empty_like(x);
    const float* px = x.data_ptr<float>();
    const float* py = y.data_ptr<float>();
    float* po = out.data_ptr<float>();
    const int64_t n = x.numel();
    for (int64_t i = 0; i < n; ++i) {
        const float a = px[i], b = py[i];
        const float clipped = std::min(std::max(0.5f * a * a - 0.3f * std::fabs(a) + 0.1f, -1.0f), 2.0f);
        const float gate = b > 0 ? b : 0.1f * b;
        po[i] = std::min(std::max(clipped * gate + 0.25f * (a - b), -3.0f), 3.0f);
    }
    return out;
}
"""
extension = load_inline(
    name="starter_fused_chain",
    cpp_sources=SOURCE,
    functions=["fused_chain"],
    extra_cflags=["-O3", "-march=native", "-fno-math-errno"],
)


class ModelNew(nn.Module):
    def forward(self, x, y):
        return extension.fused_chain(x.contiguous(), y.contiguous())
