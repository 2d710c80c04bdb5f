"""Self-distillation on sampled tokens (SDPO, arXiv 2601.20802): the same model, told more, is the teacher.

The teacher scores the student's own completion after a context that holds feedback or a solution. Where it finds a
token likelier than the student did, that token is credited: A_t = beta (lp_teacher - lp_student), both from the same
scoring. With rho = 1 the policy-gradient step on it descends beta KL(student || teacher) at each place, estimated from
the one token that the student drew there. The divergence over several tokens at each place is
in `divergence`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EMA_RATE = 0.05
SOLUTION_REWARD = 0.5  # of the preset `reference`: at least so much makes a sample a solution


def sampled_advantages(teacher: Sequence[float], student: Sequence[float], beta: float = 1.0) -> NDArray[np.float64]:
    """Advantages, float64, one for each token of a completion. ValueError where lengths differ."""
    if len(teacher) != len(student):
        raise ValueError(f"{len(teacher)} log-probabilities of the teacher, and {len(student)} of the student")
    return beta * (np.array(teacher, float) - np.array(student, float))
