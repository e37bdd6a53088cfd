"""L_MGCL: the fine-grained loss of each modality and of the fused map (paper, section 3.4)."""

from collections.abc import Callable, Mapping

from torch import Tensor

from .fine_grained import fine_grained_loss
from .view import View


def multi_granularity_loss(
    student: Mapping[str, View],
    teacher: Mapping[str, View],
    level: Callable[[View, View], Tensor] = fine_grained_loss,
) -> Tensor:
    """L_MGCL = sum_i L_FGCL(F_i, F_i') + L_FGCL(F_fus, F_fus'), i over the modalities of both.

    Args:
        student: By modality name, and "fused".
        teacher: The same of the other branch.
        level: What is compared of each pair; the ablation puts `image_loss` here.
    """
    shared = [name for name in student if name in teacher]
    assert "fused" in shared, (tuple(student), tuple(teacher))
    return sum(
        (level(student[name], teacher[name]) for name in shared[1:]),
        level(student[shared[0]], teacher[shared[0]]),
    )
