"""Divergence of a student from a teacher over the teacher's likeliest tokens, and one bucket for all others.

Axes: N places, K tokens at each. Tail bucket: both distributions put what they give to no listed token into one bucket
more, so that both are whole; by the data-processing inequality the divergence of these coarser distributions is at most
that of the full ones, and equal where K is the vocabulary. With s the student, t the teacher:

    alpha = 0      KL(t, s), forward: Hinton et al., arXiv 1503.02531
    0 < alpha < 1  (1 - alpha) KL(s, m) + alpha KL(t, m) with m = (1 - alpha) s + alpha t: Agarwal et al., 2306.13649
    alpha = 1      KL(s, t), reverse: Gu et al., arXiv 2306.08543

0.5 is the Jensen-Shannon divergence, at most ln 2. The ends are the KL divergences themselves, and not the limits of
the middle line, which are 0.
"""

import math

import torch
from torch import Tensor

_LARGEST_SHARE = 1 - 1e-6  # of the listed tokens together: in float32 nothing more exact is left for the tail


def divergence(student_NK: Tensor, teacher_NK: Tensor, alpha: float) -> Tensor:
    """The divergence at each place, (N,), float32; its gradient goes to the student alone.

    student_NK, teacher_NK: raw log-probabilities of the same tokens; those of a place are distinct. -inf for the
    teacher where a place lists fewer than K tokens. ValueError for alpha outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha {alpha}: it is between 0 (forward KL) and 1 (reverse KL)")
    is_listed = torch.isfinite(teacher_NK)
    student = _with_tail(student_NK.float(), is_listed)
    teacher = _with_tail(teacher_NK.float(), is_listed).detach()
    if alpha == 0:
        return _kl(teacher, student)
    if alpha == 1:
        return _kl(student, teacher)
    mixture = torch.logaddexp(student + math.log1p(-alpha), teacher + math.log(alpha))
    return (1 - alpha) * _kl(student, mixture) + alpha * _kl(teacher, mixture)


def _with_tail(logprobs_NK: Tensor, is_listed_NK: Tensor) -> Tensor:
    """(N, K + 1): the tail's log-probability at the end; a large negative number where nothing is listed."""
    listed = torch.where(is_listed_NK, logprobs_NK, torch.full_like(logprobs_NK, -1e4))
    share = listed.exp().sum(dim=-1, keepdim=True).clamp(max=_LARGEST_SHARE)
    return torch.cat([listed, torch.log1p(-share)], dim=-1)


def _kl(p_NK: Tensor, q_NK: Tensor) -> Tensor:
    return (p_NK.exp() * (p_NK - q_NK)).sum(dim=-1)
