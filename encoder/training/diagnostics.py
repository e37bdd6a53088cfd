"""Signs of collapse: directions in use, evenness of the spread, outputs in use."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision import wide


def effective_rank(embeddings: Tensor) -> float:
    """exp of the entropy of the singular values of centred embeddings (B, d): 1 to d (Roy & Vetterli)."""
    values = torch.linalg.svdvals(wide(embeddings) - wide(embeddings).mean(dim=0))
    p = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-(p * p.clamp(min=1e-12).log()).sum()))


def uniformity(embeddings: Tensor) -> float:
    """log mean exp(-2 |x - y|^2) over pairs of unit vectors (B, d) (Wang & Isola 2020).

    0 = one point; lower = more even.
    """
    distances = torch.pdist(F.normalize(wide(embeddings), dim=-1))
    return float(distances.pow(2).mul(-2).exp().mean().log())


def outputs_used(scores: Tensor) -> float:
    """Perplexity of the likeliest outputs of scores (M, K), as a share of the most that M rows could use."""
    counts = torch.bincount(scores.argmax(dim=-1), minlength=scores.shape[1]).float()
    p = counts / counts.sum()
    perplexity = torch.exp(-(p * p.clamp(min=1e-12).log()).sum())
    return float(perplexity) / min(scores.shape)
