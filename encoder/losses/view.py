"""What the losses compare: one feature map series of one branch, with the head that scores it.

B samples, T dates, N grid cells (the paper's N_S), D width, K outputs of the head.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class View:
    """Features F_i of one modality (or fused: T = 1) as one branch sees them."""

    features: Tensor  # (B, T, N, D)
    mask: Tensor  # (B, T, N) bool, True where there is a feature
    head: Callable[[Tensor], Tensor]  # (M, D) -> (M, K) scores; the teacher's are centred


def paired(student: View, teacher: View) -> Tensor:
    """(B, T, N) bool: where both branches have a feature."""
    assert student.features.shape[:3] == teacher.features.shape[:3], (
        student.features.shape,
        teacher.features.shape,
    )
    return student.mask & teacher.mask
