import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

SOURCE = """
#include <algorithm>
torch::Tensor saturating_sum(torch::Tensor x, double limit_given) {
    auto out = torch::empty_like(x);
    const int64_t rows = x.size(0), cols = x.size(1);
    const float limit = limit_given;
    for (int64_t r = 0; r < rows; ++r) {
        const float* px = x.data_ptr<float>() + r * cols;
        float* po = out.data_ptr<float>() + r * cols;
        float level = 0;
        for (int64_t t = 0; t < cols; ++t) {
            level = std::min(std::max(level + px[t], -limit), limit);
            po[t] = level;
        }
    }
    return out;
}
"""
extension = load_inline(
    name="starter_saturating_sum",
    cpp_sources=SOURCE,
    functions=["saturating_sum"],
    extra_cflags=["-O3", "-march=native", "-fno-math-errno"],
)


class ModelNew(nn.Module):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, x):
        return extension.saturating_sum(x.contiguous(), self.limit)
