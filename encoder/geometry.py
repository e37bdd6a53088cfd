"""The space that rows are stored in: each sensor centred and partly whitened, the whole their weighted sum.

Ours. A sensor's vectors lie in a narrow cone along few axes; centring and dividing by variance^1/4 along the
principal axes spreads them; a rotation turns sensors towards each other and changes nothing within one.
Each sensor has its own map, so that any subset of sensors lies in one space. A Sentinel's vector is the sum
of what its encoder made and of its season (`season.py`), which has a map of its own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import GeometryConfig
from .precision import wide, without_autocast

SEASON = "{}_season"  # the name of its map, by sensor


class Geometry(nn.Module):
    """Maps that are fitted after training (`fit` writes them), not learned in it. D enters, d leaves."""

    def __init__(self, config: GeometryConfig, widths: dict[str, int]) -> None:
        super().__init__()
        self.config = config
        for name, width in widths.items():
            self.register_buffer(f"mean_{name}", torch.zeros(width))
            self.register_buffer(f"axes_{name}", torch.zeros(width, config.dimension))

    def forward(self, name: str, vectors: Tensor) -> Tensor:
        """Vectors of one sensor (..., D) -> (..., d) of norm 1."""
        x = wide(vectors)
        if name in self.config.rooted:
            x = x.clamp(min=0).sqrt()
        mean, axes = self.get_buffer(f"mean_{name}"), self.get_buffer(f"axes_{name}")
        with without_autocast(x.device.type):
            return F.normalize((x - mean) @ axes, dim=-1)

    def with_season(self, name: str, vectors: Tensor, seasons: Tensor) -> Tensor:
        """A sensor's mapped vectors (..., d) and its seasons (..., S) -> their weighted sum, of norm 1."""
        weight = self.config.season[name].weight
        return F.normalize(vectors + weight * self(SEASON.format(name), seasons), dim=-1)

    def join(self, vectors: dict[str, Tensor]) -> Tensor:
        """Vectors by sensor (..., d), NaN where a sensor saw nothing -> their weighted sum, of norm 1."""
        weighted = [self.config.weights[name] * v.nan_to_num() for name, v in vectors.items()]
        return F.normalize(torch.stack(weighted).sum(dim=0), dim=-1)
