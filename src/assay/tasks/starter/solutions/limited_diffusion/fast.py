import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

SOURCE = """
#include <algorithm>
#include <vector>
torch::Tensor limited_diffusion(torch::Tensor u, int64_t steps) {
    auto out = u.contiguous().clone();
    const int64_t rows = u.size(0), cols = u.size(1);
    std::vector<float> next(cols);
    for (int64_t r = 0; r < rows; ++r) {
        float* row = out.data_ptr<float>() + r * cols;
        for (int64_t step = 0; step < steps; ++step) {
            next[0] = row[0];
            next[cols - 1] = row[cols - 1];
            for (int64_t c = 1; c < cols - 1; ++c) {
                const float curvature = row[c - 1] - 2 * row[c] + row[c + 1];
                next[c] = row[c] + 0.25f * std::min(std::max(curvature, -0.5f), 0.5f);
            }
            std::copy(next.begin(), next.end(), row);
        }
    }
    return out;
}
"""
extension = load_inline(
    name="starter_limited_diffusion",
    cpp_sources=SOURCE,
    functions=["limited_diffusion"],
    extra_cflags=["-O3", "-march=native", "-fno-math-errno"],
)


class ModelNew(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def forward(self, u):
        return extension.limited_diffusion(u, self.steps)
