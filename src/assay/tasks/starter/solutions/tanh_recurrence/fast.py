import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

SOURCE = """
#include <cmath>
torch::Tensor tanh_recurrence(torch::Tensor x, double decay_given) {
    auto out = torch::empty_like(x);
    const int64_t rows = x.size(0), cols = x.size(1);
    const float decay = decay_given;
    for (int64_t r = 0; r < rows; ++r) {
        const float* px = x.data_ptr<float>() + r * cols;
        float* po = out.data_ptr<float>() + r * cols;
        float state = 0;
        for (int64_t t = 0; t < cols; ++t) {
            state = std::tanh(decay * state + px[t]);
            po[t] = state;
        }
    }
    return out;
}
"""
extension = load_inline(
    name="starter_tanh_recurrence",
    cpp_sources=SOURCE,
    functions=["tanh_recurrence"],
    extra_cflags=["-O3", "-march=native", "-fno-math-errno"],
)


class ModelNew(nn.Module):
    def __init__(self, decay):
        super().__init__()
        self.decay = decay

    def forward(self, x):
        return extension.tanh_recurrence(x.contiguous(), self.decay)
