"""Whether an output is what the reference computes.

The expected output is computed in float64 where that is possible. The tolerance is relative to the output's own scale
and calibrated on the reference: max(SLACK x the error of the reference at its run dtype, a floor for the dtype). Two
norms must hold: the root-mean-square error (which separates float32 arithmetic, near 1e-6, from TF32, near 3e-4) and
the largest error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

SLACK = 8.0
WIDEST = 50.0
_CHUNK = 1 << 24  # elements


@dataclass(frozen=True)
class Tolerance:
    """Relative to the root mean square of the expected output: `rms` for the whole, `peak` for the largest error."""

    rms: float
    peak: float

    def widened(self, error: "Tolerance | None") -> "Tolerance":
        """At least SLACK times `error`, at most WIDEST times itself: a reference that is wild excuses nothing."""
        if error is None:
            return self
        rms = min(max(self.rms, SLACK * error.rms), WIDEST * self.rms)
        return Tolerance(rms, min(max(self.peak, SLACK * error.peak), WIDEST * self.peak))


_FLOOR = {
    torch.float64: Tolerance(1e-9, 1e-8),
    torch.float32: Tolerance(4e-5, 4e-4),
    torch.float16: Tolerance(2e-3, 2e-2),
    torch.bfloat16: Tolerance(1.6e-2, 1.6e-1),
}


def floor(dtype: torch.dtype) -> Tolerance:
    """The tolerance below which differences say nothing, for an output of `dtype`; integers and booleans are exact."""
    return _FLOOR.get(dtype, Tolerance(0.0, 0.0))


def error_between(actual: torch.Tensor, expected: torch.Tensor) -> Tolerance | None:
    """Root-mean-square and largest difference, relative to the scale of `expected`.

    Peak errors are measured against rms(expected) + |expected_i|. None where NaN or infinities are not at the same
    places. A zero `expected` makes both errors absolute.
    """
    pairs = list(zip(chunks(actual), chunks(expected), strict=True))
    square_sum = finite = 0.0
    for _a, e in pairs:
        kept, _is_special = _finite(e.double())
        square_sum += float(kept.square().sum())
        finite += kept.numel()
    scale = math.sqrt(square_sum / finite) if finite and square_sum > 0 else 1.0
    error_sum = peak = 0.0
    for a, e in pairs:
        a_finite, a_special = _finite(a.double())
        e_finite, e_special = _finite(e.double())
        if not _same_specials(a_special, e_special):
            return None
        if a_finite.numel() == 0:
            continue
        difference = (a_finite - e_finite).abs_()
        error_sum += float(difference.square().sum())
        peak = max(peak, float((difference / (e_finite.abs() + scale)).max()))
    return Tolerance(math.sqrt(error_sum / max(finite, 1)) / scale, peak)


def chunks(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    """The elements of `tensor` in parts, so that what is computed of a part needs little memory."""
    return tensor.detach().reshape(-1).split(_CHUNK)


def _finite(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The finite ones among `values`, and where the others are what (None if there are none)."""
    if bool(values.sum().isfinite()):
        return values, None
    is_finite = values.isfinite()
    if bool(is_finite.all()):
        return values, None
    kinds = torch.where(is_finite, 0.0, torch.nan_to_num(values, nan=2.0, posinf=1.0, neginf=-1.0))
    return values[is_finite], kinds


def _same_specials(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)


def mismatch(
    actual: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], own_errors: Sequence[Tolerance | None]
) -> str | None:
    """Why `actual` is not `expected`, or None if it is. Shapes and dtypes are the caller's to check.

    own_errors: the reference's error at its run dtype for each output (None where unknown).
    """
    for index, (a, e, own) in enumerate(zip(actual, expected, own_errors, strict=True)):
        if a.dtype == e.dtype and torch.equal(a, e):
            continue
        allowed = floor(a.dtype).widened(own)
        found = error_between(a, e)
        if found is None:
            return f"output {index}: NaN or infinite values that the reference does not have, or the reverse"
        if found.rms > allowed.rms or found.peak > allowed.peak:
            return (
                f"output {index}: relative error {found.rms:.2e} rms, {found.peak:.2e} at worst; "
                f"allowed {allowed.rms:.2e} and {allowed.peak:.2e}"
            )
    return None


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal element for element, where NaN equals NaN; False for other shapes."""
    if one.shape != other.shape:
        return False
    return all(bool(((a == b) | ((a != a) & (b != b))).all()) for a, b in zip(chunks(one), chunks(other), strict=True))
