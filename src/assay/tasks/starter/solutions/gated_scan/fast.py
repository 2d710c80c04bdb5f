import torch
import torch.nn as nn
from torch.utils.cpp_extension import load_inline

SOURCE = """
torch::Tensor gated_scan(torch::Tensor x, torch::Tensor keep) {
    auto out = torch::empty_like(x);
    const int64_t rows = x.size(0), cols = x.size(1);
    for (int64_t r = 0; r < rows; ++r) {
        const float* px = x.data_ptr<float>() + r * cols;
        const float* pk = keep.data_ptr<float>() + r * cols;
        float* po = out.data_ptr<float>() + r * cols;
        float state = 0;
        for (int64_t t = 0; t < cols; ++t) {
            state = pk[t] * state + (1 - pk[t]) * px[t];
            po[t] = state;
        }
    }
    return out;
}
"""
extension = load_inline(
    name="starter_gated_scan",
    cpp_sources=SOURCE,
    functions=["gated_scan"],
    extra_cflags=["-O3", "-march=native", "-fno-math-errno"],
)


class ModelNew(nn.Module):
    def forward(self, x, gate):
        return extension.gated_scan(x.contiguous(), torch.sigmoid(gate).contiguous())
