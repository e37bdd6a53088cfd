"""L_CL: cross-entropy of the student's scores under the sharpened teacher's (paper, section 3.4; DINO)."""

import torch.nn.functional as F
from torch import Tensor

from ..precision import wide

STUDENT_TEMPERATURE = 0.1  # DINO's; the paper does not publish its own


def contrastive_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_CL = -sum_k p'_k log p_k, averaged over M pairs: positives only.

    Args:
        student: (M, K) scores.
        teacher: (M, K) scores, already centred and divided by the teacher's temperature.
    """
    if not len(student):
        return student.sum()  # zero, with a gradient of zero
    target = F.softmax(wide(teacher.detach()), dim=-1)
    log_p = F.log_softmax(wide(student) / STUDENT_TEMPERATURE, dim=-1)
    return -(target * log_p).sum(dim=-1).mean()
