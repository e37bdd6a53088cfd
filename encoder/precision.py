"""Where sums are taken in float32 or better."""

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """bf16 of an autocast pass becomes float32; float32 and float64 stay as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
