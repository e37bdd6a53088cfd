"""The shape of the land: hills, the river's course, lakes. Points are metres east and south of the corner."""

from dataclasses import dataclass

import numpy as np

from .area import S2_GSD_M, Area
from .noise import Field, fractal_noise


@dataclass(frozen=True)
class River:
    """A meandering line across the area."""

    side_m: float
    angle_rad: float
    phases_rad: tuple[float, float]

    def distance_m(self, x: Field, y: Field) -> Field:
        """Distance of each point from the river's middle, to first order."""
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        east, south = x - 0.5 * self.side_m, y - 0.55 * self.side_m
        u, v = east * cos + south * sin, south * cos - east * sin
        course, slope = np.zeros_like(u), np.zeros_like(u)
        for amplitude, half_waves, phase in zip((0.05, 0.012), (4.0, 17.0), self.phases_rad, strict=True):
            angle = u * (half_waves / self.side_m * np.pi) + phase
            course += amplitude * self.side_m * np.sin(angle)
            slope += amplitude * half_waves * np.pi * np.cos(angle)
        distance: Field = np.abs(v - course) / np.hypot(1, slope)
        return distance


def make_river(rng: np.random.Generator, area: Area) -> River:
    first, second = rng.uniform(0, 2 * np.pi, 2)
    return River(area.side_m, rng.uniform(-0.35, 0.35), (first, second))


def oval(x: Field, y: Field, centre_m: tuple[float, float], half_length_m: float, wobble: Field) -> Field:
    """0 at the centre, 1 at the edge of an oval twice as long as wide, its edge moved by `wobble`."""
    east, south = x - centre_m[0], y - centre_m[1]
    u, v = (east + 0.4 * south) / 1.08, (south - 0.4 * east) / 1.08
    radius: Field = np.hypot(u, 1.9 * v) / half_length_m * (1 + 0.16 * wobble)
    return radius


def make_relief(rng: np.random.Generator, area: Area, river: River) -> Field:
    """Elevation in metres at 10 m, (h, w): hills, with a valley along the river and hollows for the lakes."""
    size_px = round(area.side_m / S2_GSD_M)
    hills = fractal_noise(rng, size_px, scale_px=size_px / 3, slope=2.9)
    hills = (hills - hills.min()) / np.ptp(hills)
    x, y = pixel_centres(size_px, size_px, S2_GSD_M)
    away = river.distance_m(x, y) / (0.07 * area.side_m)
    hills *= 1 - 0.7 * np.exp(-(away**2))
    for east, south, half_length in area.character.lakes:
        centre = (east * area.side_m, south * area.side_m)
        hills *= 1 - np.exp(-(oval(x, y, centre, 1.2 * half_length * area.side_m, np.zeros_like(x)) ** 4))
    relief: Field = (area.character.relief_m * hills).astype(np.float32)
    return relief


def pixel_centres(height: int, width: int, gsd_m: float, top: int = 0) -> tuple[Field, Field]:
    """x, y of pixels from row `top` on, metres east and south of the area's corner, (height, width) each."""
    y, x = np.mgrid[top : top + height, :width].astype(np.float32)
    return (x + 0.5) * np.float32(gsd_m), (y + 0.5) * np.float32(gsd_m)
