"""L_align: modalities of one place attract, of different places repel (paper, section 3.4; InfoNCE)."""

from collections.abc import Mapping
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision import wide

TEMPERATURE = 0.05  # ours: unpublished


def info_nce_loss(student: Tensor, teacher: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """-log softmax of the true pair among the batch's: student (B, D), teacher (B, D), row b is place b."""
    similarity = F.normalize(wide(student), dim=-1) @ F.normalize(wide(teacher), dim=-1).T  # (B, B)
    return F.cross_entropy(similarity / temperature, torch.arange(len(student), device=student.device))


def alignment_loss(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
    """L_align, the mean of InfoNCE(F_i, F_j) over ordered pairs of different modalities.

    Args:
        student: (B, D) by modality name, place by place.
        teacher: The same; the paper aligns the student with itself, so it is passed twice.
    """
    pairs = list(permutations(sorted(student.keys() & teacher.keys()), 2))
    assert pairs, f"alignment needs two modalities, got {tuple(student)} and {tuple(teacher)}"
    return torch.stack([info_nce_loss(student[i], teacher[j]) for i, j in pairs]).mean()
