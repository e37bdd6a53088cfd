"""Farmland: blocks of fields, each cut into parallel strips along its own direction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .area import Area
from .noise import Field

STRIPS = 16  # strips and plots per block have ids modulo 16, so a block owns 256 unit ids
PARCELS_PER_BLOCK = STRIPS * STRIPS
_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


@dataclass(frozen=True)
class Blocks:
    """Voronoi cells of a jittered grid of seeds; a block's number is that of its seed."""

    spacing_m: float
    seed_m: Field  # (2, blocks) x, y; the grid reaches two spacings beyond the area
    columns: int
    angle_rad: Field  # (blocks,) direction across the strips
    strip_m: Field  # (blocks,) width of a strip
    plot_m: Field  # (blocks,) length of a plot along its strip
    stagger: Field  # (blocks * STRIPS,) where along the strip the first plot begins

    def nearest(self, x: Field, y: Field) -> tuple[NDArray[np.int32], Field]:
        """The block of each point, and about how far the point is from the block's edge, metres."""
        row, column = (np.floor(p / self.spacing_m).astype(np.int32) + 2 for p in (y, x))
        home = row * self.columns + column
        block = home
        nearest, next_nearest = np.full((2, *x.shape), np.inf, np.float32)
        for dy, dx in _NEIGHBOURS:
            other = home + (dy * self.columns + dx)
            squared = (x - self.seed_m[0][other]) ** 2 + (y - self.seed_m[1][other]) ** 2
            block = np.where(squared < nearest, other, block)
            next_nearest = np.minimum(next_nearest, np.maximum(nearest, squared))
            nearest = np.minimum(nearest, squared)
        return block, (np.sqrt(next_nearest) - np.sqrt(nearest)) / 2

    def parcel(self, block: NDArray[np.int32], x: Field, y: Field) -> NDArray[np.int32]:
        """The unit id of the field at each point of a block."""
        cos, sin = np.cos(self.angle_rad)[block], np.sin(self.angle_rad)[block]
        east, north = x - self.seed_m[0][block], y - self.seed_m[1][block]
        strip = np.floor((east * cos + north * sin) / self.strip_m[block]).astype(np.int32) % STRIPS
        along = (north * cos - east * sin) / self.plot_m[block] + self.stagger[block * STRIPS + strip]
        plot = np.floor(along).astype(np.int32) % STRIPS
        unit: NDArray[np.int32] = block * PARCELS_PER_BLOCK + strip * STRIPS + plot
        return unit


def make_blocks(rng: np.random.Generator, area: Area, uphill_rad: Field) -> Blocks:
    """Lay out the blocks; strips follow the contour lines. `uphill_rad` (h, w) is the slope's direction."""
    character = area.character
    side = int(np.ceil(area.side_m / character.block_m)) + 4
    jitter = rng.uniform(0.12, 0.88, (side, side, 2))
    row, column = np.mgrid[:side, :side] - 2
    seed_m = ((np.stack([column, row], axis=-1) + jitter) * character.block_m).reshape(-1, 2).T
    pixel = np.clip(seed_m / area.side_m * len(uphill_rad), 0, len(uphill_rad) - 1).astype(int)
    n = side * side
    width_m, length_m = character.parcel_m
    return Blocks(
        spacing_m=character.block_m,
        seed_m=seed_m.astype(np.float32),
        columns=side,
        angle_rad=(uphill_rad[pixel[1], pixel[0]] + rng.normal(0, 0.12, n)).astype(np.float32),
        strip_m=(width_m * rng.lognormal(0, 0.35, n)).astype(np.float32),
        plot_m=(length_m * rng.lognormal(0, 0.35, n)).astype(np.float32),
        stagger=rng.uniform(0, 1, n * STRIPS).astype(np.float32),
    )
