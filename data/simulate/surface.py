"""What the ground is made of: spectra, calendars, backscatter and texture of each material."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .noise import Field

Spectrum = tuple[float, ...]  # surface reflectance in B02 B03 B04 B05 B06 B07 B08 B8A B11 B12

COVER = {
    1: "broadleaf forest",
    2: "conifer forest",
    3: "grassland",
    4: "winter cereal",
    5: "maize",
    6: "rapeseed",
    7: "water",
    8: "town",
    9: "bare",
}  # code of the land cover raster -> name; 0 is nodata
COVER_CODE = {name: code for code, name in COVER.items()}

# fmt: off
SOIL = (.070, .094, .124, .149, .170, .186, .204, .220, .290, .245)
GRAVEL = (.170, .205, .245, .262, .280, .290, .302, .310, .365, .335)
LITTER = (.036, .050, .064, .088, .128, .148, .164, .184, .212, .145)
STRAW = (.075, .118, .162, .200, .238, .260, .284, .304, .345, .245)
AUTUMN_LEAVES = (.032, .062, .092, .140, .200, .230, .252, .270, .245, .145)
CROP = (.024, .054, .027, .088, .325, .430, .455, .475, .200, .086)
MAIZE = (.026, .060, .034, .096, .300, .385, .410, .430, .215, .098)
GRASS = (.030, .066, .040, .106, .295, .365, .388, .408, .225, .115)
LEAVES = (.018, .042, .021, .072, .245, .320, .342, .358, .165, .068)
NEEDLES = (.016, .029, .018, .044, .122, .160, .176, .188, .086, .038)
RAPE_BLOOM = (.038, .182, .158, .205, .320, .370, .405, .425, .225, .115)
LAKE = (.034, .031, .017, .014, .010, .009, .008, .007, .004, .003)
RIVER = (.042, .052, .036, .032, .021, .019, .017, .016, .008, .006)
TILES = (.070, .098, .168, .186, .200, .210, .220, .228, .280, .255)
SLATE = (.112, .120, .127, .130, .135, .139, .143, .147, .162, .155)
METAL = (.275, .290, .300, .305, .310, .315, .318, .320, .315, .290)
ASPHALT = (.084, .092, .099, .104, .109, .113, .118, .122, .138, .128)
# fmt: on


@dataclass(frozen=True)
class Calendar:
    """Course of a canopy over the year, in days of the year of the northern mid-latitudes.

    Ground, green, dry and blooming shares of the canopy add up to 1 on every day.
    """

    peak: float  # green share at the height of the season
    rise: tuple[float, float]  # day on which half of it is there; days of the logistic's width
    fall: tuple[float, float]  # day on which half of it has turned dry; width
    gone_day: float  # harvest: half of what is dry is gone; the stubble stays for six weeks
    winter: float = 0.0  # green share left from autumn until the rise
    autumn_day: float = 999.0  # emergence of the next season's growth
    bloom: tuple[float, float] = (999.0, 10.0)  # middle and half-width

    def shares(self, day: Field) -> tuple[Field, Field, Field]:
        """Green, dry and blooming shares, each of the shape of `day`."""
        risen, fallen = _logistic(day, *self.rise), _logistic(day, *self.fall)
        autumn = _logistic(day, self.autumn_day, 9.0)
        green = self.winter * (1 - risen) + self.peak * risen * (1 - fallen) + self.winter * autumn
        gone = 0.55 * _logistic(day, self.gone_day, 2.0) + 0.45 * _logistic(day, self.gone_day + 45, 8.0)
        dry = self.peak * fallen * (1 - gone)
        bloom: Field = 0.75 * green * np.exp(-(((day - self.bloom[0]) / self.bloom[1]) ** 2))
        return green - bloom, dry, bloom


@dataclass(frozen=True)
class Material:
    """One kind of surface. Backscatter is (VV, VH) in dB; textures are relative amplitudes at 2.5 m."""

    name: str
    cover: str
    ground: Spectrum
    ground_db: tuple[float, float]
    green: Spectrum = SOIL
    green_db: tuple[float, float] = (-11.5, -20.5)
    dry: Spectrum = STRAW
    calendar: Calendar | None = None  # none: the bare ground all year
    patchiness: float = 0.05  # how much vigour varies inside one field
    spread: float = 0.09  # how much one unit differs from the next
    spread_db: float = 0.6
    height_m: float = 0.0  # what throws shadows at 2.5 m
    crowns: float = 0.0
    rows: float = 0.0
    grain: float = 0.03


_WHEAT = Calendar(0.95, (92, 11), (184, 6), 208, winter=0.32, autumn_day=302)
_RAPE = Calendar(0.95, (80, 11), (181, 6), 203, winter=0.45, autumn_day=262, bloom=(124, 15))
_MAIZE = Calendar(0.96, (170, 8), (262, 7), 280)
_GRASS = Calendar(0.90, (88, 14), (300, 25), 345, winter=0.75, autumn_day=310)
_LEAVES = Calendar(0.96, (113, 5), (296, 6), 322, winter=0.04, autumn_day=345)
_NEEDLES = Calendar(0.93, (120, 20), (999, 10), 999, winter=0.85)
_LAWN = Calendar(0.85, (80, 14), (305, 25), 350, winter=0.6, autumn_day=310)

# fmt: off
MATERIALS = (
    Material("broadleaf", "broadleaf forest", LITTER, (-8.4, -14.3), LEAVES, (-8.9, -14.0), AUTUMN_LEAVES,
             _LEAVES, spread=0.08, spread_db=0.4, height_m=18, crowns=0.30, grain=0.05),
    Material("conifer", "conifer forest", LITTER, (-9.4, -15.2), NEEDLES, (-9.4, -15.2), AUTUMN_LEAVES,
             _NEEDLES, spread=0.09, spread_db=0.4, height_m=20, crowns=0.36, grain=0.05),
    Material("grassland", "grassland", SOIL, (-11.8, -19.5), GRASS, (-12.6, -19.2), STRAW,
             _GRASS, patchiness=0.07, spread=0.10),
    Material("winter cereal", "winter cereal", SOIL, (-11.0, -20.5), CROP, (-15.8, -20.8), STRAW,
             _WHEAT, rows=0.07),
    Material("maize", "maize", SOIL, (-10.6, -20.0), MAIZE, (-10.0, -15.6), STRAW, _MAIZE, rows=0.12),
    Material("rapeseed", "rapeseed", SOIL, (-11.0, -19.8), CROP, (-10.6, -14.8), STRAW, _RAPE, rows=0.06),
    Material("fallow", "bare", SOIL, (-11.3, -20.6), spread=0.14, rows=0.05, grain=0.05),
    Material("lake", "water", LAKE, (-21.5, -28.5),
             patchiness=0, spread=0.02, spread_db=0.2, grain=0.012),
    Material("river", "water", RIVER, (-19.8, -27.0),
             patchiness=0, spread=0.02, spread_db=0.2, grain=0.015),
    Material("gravel pit", "bare", GRAVEL, (-12.0, -21.5), grain=0.07),
    Material("track", "bare", GRAVEL, (-12.5, -21.0)),
    Material("tiled roof", "town", TILES, (0.5, -8.0), spread=0.12, spread_db=3, height_m=8),
    Material("slate roof", "town", SLATE, (0.5, -8.0), spread=0.22, spread_db=3, height_m=9),
    Material("metal roof", "town", METAL, (2.5, -8.5), spread=0.25, spread_db=3, height_m=10),
    Material("asphalt", "town", ASPHALT, (-13.5, -21.0), patchiness=0.02, grain=0.04),
    Material("lawn", "town", SOIL, (-11.0, -18.0), GRASS, (-11.0, -17.5), STRAW,
             _LAWN, patchiness=0.08, spread=0.12, spread_db=1.5, grain=0.10),
    Material("garden tree", "town", LITTER, (-8.0, -13.5), LEAVES, (-8.5, -13.5), AUTUMN_LEAVES,
             _LEAVES, height_m=7, crowns=0.22, grain=0.05),
)
# fmt: on
MATERIAL_CODE = {material.name: code for code, material in enumerate(MATERIALS)}


@dataclass(frozen=True)
class Units:
    """A table of U units: fields, stands, lots, ... Each is one material, a little unlike the others."""

    material: NDArray[np.uint8]  # (U,) index into MATERIALS
    row_angle_rad: Field  # (U,) direction across sowing rows
    shift_days: Field  # (U,) its calendar runs late by
    vigour: Field  # (U,) factor on the green share
    brightness: Field  # (U,) factor on reflectance
    roughness_db: Field  # (U,) offset of backscatter

    @property
    def cover(self) -> NDArray[np.uint8]:
        """Land cover code of each unit: (U,)."""
        return np.array([COVER_CODE[m.cover] for m in MATERIALS], np.uint8)[self.material]

    def reflectance(self, day_of_year: float) -> Field:
        """Surface reflectance: (U, 10)."""
        table = np.empty((len(self.material), 10), np.float32)
        for of, material in self._groups():
            green, dry, bloom = self._shares(of, material, day_of_year)
            ends = (material.ground, material.green, material.dry, RAPE_BLOOM)
            mix = np.stack([1 - green - dry - bloom, green, dry, bloom], axis=-1)  # (n, 4)
            table[of] = (mix @ np.array(ends)) * self.brightness[of, None]
        return table

    def backscatter(self, day_of_year: float, soil_moisture_db: float) -> Field:
        """Linear power in VV and VH without speckle: (U, 2)."""
        table = np.empty((len(self.material), 2), np.float32)
        for of, material in self._groups():
            green, dry, bloom = self._shares(of, material, day_of_year)
            canopy = np.minimum(green + 0.5 * dry + bloom, 1)[:, None]
            moist = soil_moisture_db if material.calendar or material.name == "fallow" else 0.0
            bare_db = np.array(material.ground_db) + moist
            db = bare_db * (1 - canopy) + np.array(material.green_db) * canopy
            table[of] = 10 ** ((db + self.roughness_db[of, None]) / 10)
        return table

    def _groups(self) -> Iterator[tuple[NDArray[np.intp], Material]]:
        for code, material in enumerate(MATERIALS):
            yield np.flatnonzero(self.material == code), material

    def _shares(self, of: NDArray[np.intp], material: Material, day: float) -> tuple[Field, Field, Field]:
        if material.calendar is None:
            nothing = np.zeros(len(of), np.float32)
            return nothing, nothing, nothing
        green, dry, bloom = material.calendar.shares(day - self.shift_days[of])
        vigour = np.minimum(self.vigour[of], 0.99 / np.maximum(green + dry + bloom, 1e-6))
        return green * vigour, dry * vigour, bloom * vigour


def make_units(rng: np.random.Generator, material: NDArray[np.uint8], row_angle_rad: Field) -> Units:
    """Draw how each unit differs from the others of its material."""
    n = len(material)
    spread, spread_db = of_material("spread")[material], of_material("spread_db")[material]
    shift_days, vigour, brightness, roughness = rng.standard_normal((4, n), dtype=np.float32).clip(-2.5, 2.5)
    return Units(
        material,
        row_angle_rad,
        shift_days=5 * shift_days,
        vigour=1 + spread * vigour,
        brightness=np.exp(spread * brightness),
        roughness_db=spread_db * roughness,
    )


def of_material(attribute: str) -> Field:
    """One number of every material: (len(MATERIALS),)."""
    return np.array([getattr(material, attribute) for material in MATERIALS], np.float32)


def _logistic(day: Field, middle: float, width: float) -> Field:
    share: Field = 1 / (1 + np.exp(-np.clip((day - middle) / width, -30, 30)))
    return share
