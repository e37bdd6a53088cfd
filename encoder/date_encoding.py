"""The date of a token: a learned vector per day of the year (paper, section 3.2, P_DTPE)."""

import torch
from torch import Tensor, nn

DAYS = 365


class DateEncoding(nn.Module):
    """A table (365, D), looked up by day of year."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(DAYS, width))

    def forward(self, day_of_year: Tensor) -> Tensor:
        """(...) int, 1-366 or 0 = unknown -> (..., D). Day 366 counts as 365; an unknown day is all zeros."""
        days = (day_of_year.long() - 1).clamp(0, DAYS - 1)
        known = (day_of_year > 0).unsqueeze(-1)
        return torch.where(known, self.table[days], 0.0)
