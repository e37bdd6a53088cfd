"""Completion (ours, not the paper's): the embedding of some dates and modalities tells the pixels of others.

SkySense++ predicts features of missing modalities; here band values of dates that the student did not see are
predicted. It gives a small model on a small corpus a dense signal, where contrast alone learns slowly.
"""

import torch.nn.functional as F
from torch import Tensor

from ..precision import wide
from .view import View


def completion_loss(student: View, teacher: View) -> Tensor:
    """Smooth L1 between what the student predicts for each date and cell and what is there.

    Args:
        student: `features` (B, T, N, D) are fused features beside the date asked for; `head` predicts bands.
        teacher: `features` (B, T, N, C) are normalised band values, `mask` where they are known.
    """
    known = student.mask & teacher.mask
    predicted = student.head(student.features[known])  # (M, C)
    target = wide(teacher.features[known].detach())
    if not len(target):
        return predicted.sum()
    return F.smooth_l1_loss(wide(predicted), target, beta=0.5)
