"""A CPU takes some images or sequences at a time: what one layer leaves, the next finds in the cache.

Larger results are worse than slow to read: above 32 MB the C library asks the system for each anew.
"""

import sys
from collections.abc import Iterator

from torch import Tensor

TOKENS = 16384  # at a time


def pieces(count: int, tokens: int, like: Tensor, most: int = sys.maxsize) -> Iterator[slice]:
    """Slices of `count` images or sequences of so many tokens each, `most` tokens at a time elsewhere."""
    step = max(1, (min(most, TOKENS) if like.device.type == "cpu" else most) // tokens)
    return (slice(start, start + step) for start in range(0, max(1, count), step))
