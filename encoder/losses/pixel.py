"""L_pix: the contrast of each grid cell on each date (paper, section 3.4)."""

from torch import Tensor

from .contrastive import contrastive_loss
from .view import View, paired


def pixel_loss(student: View, teacher: View) -> Tensor:
    """L_pix = 1 / (N_S T_i) sum_s sum_t L_CL(f_pix, f'_pix), over what both branches have."""
    both = paired(student, teacher)
    return contrastive_loss(
        student.head(student.features[both]),  # (M, K)
        teacher.head(teacher.features[both]),
    )
