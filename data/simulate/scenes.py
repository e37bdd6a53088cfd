"""What each sensor sees of a landscape on a day: Sentinel-2 with clouds, Sentinel-1 with speckle, HR."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .landscape import FINE, Landscape
from .noise import Field, block_mean, blur, enlarge, fractal_noise
from .surface import of_material

LOOKS = 4  # of Sentinel-1 IW GRD, 4.4 in truth
SCL_SHADOW, SCL_VEGETATION, SCL_BARE, SCL_WATER = 3, 4, 5, 6  # Sen2Cor's scene classification
SCL_CLOUD_MEDIUM, SCL_CLOUD_HIGH, SCL_CIRRUS = 8, 9, 10
SCL_CLOUDS = (SCL_CLOUD_MEDIUM, SCL_CLOUD_HIGH, SCL_CIRRUS)

_CLOUD = np.array((0.64, 0.62, 0.61, 0.62, 0.63, 0.64, 0.64, 0.65, 0.42, 0.33), np.float32)
_HAZE = np.array((0.006, 0.004, 0.003, 0.002, 0.001, 0.001, 0.001, 0.001, 0.0, 0.0), np.float32)
_CLOUD_HEIGHT_M = 900.0
_LEAST_OPACITY = np.float32(0.05)  # of what is called cloud
_TWENTY_METRE_BANDS = [3, 4, 5, 7, 8, 9]  # B05 B06 B07 B8A B11 B12
_PATCH = np.array((-0.7, -0.4, -0.9, -0.3, 0.8, 1.0, 1.0, 1.0, -0.3, -0.7), np.float32)  # vigour's effect
_SPECKLE_BLUR = 0.12  # pixels of 10 m overlap in a resolution cell of 20 m
_BAND_PX = 64


@dataclass(frozen=True)
class Sun:
    """Where the sun stands. Azimuth is clockwise from north."""

    elevation_rad: float
    azimuth_rad: float


def sun_at(lat_deg: float, day_of_year: float, hour_angle_deg: float = -18.0) -> Sun:
    """The sun at Sentinel-2's pass, about 10:45 local solar time (Cooper 1969 for the declination)."""
    lat, hour = np.radians(lat_deg), np.radians(hour_angle_deg)
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + day_of_year) / 365)
    south = np.sin(lat) * np.cos(declination) * np.cos(hour) - np.cos(lat) * np.sin(declination)
    up = np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    return Sun(float(np.arcsin(up)), float(np.arctan2(east, -south)))


def season_day(lat_deg: float, day_of_year: float) -> float:
    """The day that a northern calendar shows: half a year on in the south."""
    return day_of_year if lat_deg >= 0 else (day_of_year + 182.5) % 365


def sentinel_2(
    land: Landscape, day_of_year: float, cloud_share: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Surface reflectance x 10000 in ten bands (10, h, w); scene classification at 20 m (h / 2, w / 2)."""
    lat_deg = land.area.lat_deg
    sun = sun_at(lat_deg, day_of_year)
    ground = unit_mean(land, land.units.reflectance(season_day(lat_deg, day_of_year)))  # (h, w, 10)
    patchiness = unit_mean(land, of_material("patchiness")[land.units.material][:, None])
    ground *= np.exp(patchiness * (land.soil[..., None] * _PATCH))
    ground *= _hillshade(land.elevation_m, sun)[..., None]
    ground = blur(ground, 0.08) + _HAZE
    cloud, shadow = _clouds(rng, len(ground), cloud_share, sun)
    scl = _classify(ground, cloud, shadow)
    bright = 0.8 + 0.25 * cloud + 0.06 * fractal_noise(rng, len(ground), 20)
    seen = ground * (1 - 0.65 * shadow)[..., None] * (1 - cloud)[..., None]
    seen += (cloud * bright)[..., None] * _CLOUD
    for band in _TWENTY_METRE_BANDS:
        seen[..., band] = np.kron(block_mean(seen[..., band], 2), np.ones((2, 2), np.float32))
    noise = rng.standard_normal(seen.shape, np.float32)
    seen += noise * (0.0012 + 0.008 * seen)
    return np.rint(seen * 10_000).clip(1, 16_000).astype(np.uint16).transpose(2, 0, 1), scl


def sentinel_1(
    land: Landscape, day_of_year: float, ascending: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Backscatter in dB, VV and VH (2, h, w): gamma speckle of LOOKS looks on the mean power."""
    table = land.units.backscatter(season_day(land.area.lat_deg, day_of_year), rng.normal(0, 0.7))
    facing = np.gradient(land.elevation_m, axis=1) / 10 * (1 if ascending else -1)
    mean = unit_mean(land, table) * (1 + 1.2 * facing).clip(0.3, 3)[..., None]
    seen = blur(mean, 0.15) * np.stack([speckle(rng, len(mean)) for _ in range(2)], axis=-1)
    return (10 * np.log10(np.maximum(seen, 1e-4))).astype(np.float32).transpose(2, 0, 1)


def speckle(rng: np.random.Generator, size_px: int) -> Field:
    """Gamma noise of mean 1 and LOOKS looks, (size_px, size_px): mean intensity of complex Gaussian fields.

    Neighbours are correlated, as pixels of 10 m are in products of 20 m resolution (Goodman 1975).
    """
    power = np.zeros((size_px, size_px), np.float32)
    gain = (1 - 2 * _SPECKLE_BLUR) ** 2 + 2 * _SPECKLE_BLUR**2  # of variance, per axis
    for _ in range(2 * LOOKS):  # real and imaginary parts
        power += blur(rng.standard_normal(power.shape, np.float32), _SPECKLE_BLUR) ** 2
    return power / np.float32(2 * LOOKS * gain**2)


def high_resolution(land: Landscape, day_of_year: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An aerial picture at 2.5 m, R G B (3, H, W)."""
    lat_deg, units = land.area.lat_deg, land.units
    sun = sun_at(lat_deg, day_of_year)
    colour = units.reflectance(season_day(lat_deg, day_of_year))[:, [2, 1, 0]]  # (U, 3)
    rows_amplitude, crowns, grain = (of_material(a)[units.material] for a in ("rows", "crowns", "grain"))
    patchiness = of_material("patchiness")[units.material]
    shade, hillshade = _cast_shadows(land, sun), _hillshade(land.elevation_m, sun)
    picture = np.empty((3, *land.unit.shape), np.uint8)
    for top in range(0, len(land.unit), _BAND_PX):
        rows = slice(top, min(top + _BAND_PX, len(land.unit)))
        unit = land.unit[rows]
        light = 1 + rows_amplitude[unit] * _sowing_rows(units.row_angle_rad, unit, top)
        light += crowns[unit] * land.crowns[rows]
        light += grain[unit] * rng.standard_normal(unit.shape, np.float32)
        light -= 1.5 * patchiness[unit] * enlarge(land.soil, FINE, rows)
        light *= enlarge(hillshade, FINE, rows) * np.where(shade[rows], 0.5, 1)
        reflectance = colour[unit] * np.maximum(light, 0.15)[..., None] + _HAZE[[2, 1, 0]]
        picture[:, rows] = _tone(reflectance).transpose(2, 0, 1)
    return picture


def unit_mean(land: Landscape, table: Field) -> Field:
    """Mean of a property of the units, (U, C), over each pixel of 10 m: (h, w, C)."""
    total = np.zeros((*land.elevation_m.shape, table.shape[1]), np.float32)
    for row in range(FINE):
        for column in range(FINE):
            total += table[land.unit[row::FINE, column::FINE]]
    total /= FINE**2
    return total


def _hillshade(elevation_m: Field, sun: Sun) -> Field:
    """Light on the slope relative to level ground, (h, w)."""
    south, east = np.gradient(elevation_m, 10.0)
    towards_sun = -east * np.sin(sun.azimuth_rad) + south * np.cos(sun.azimuth_rad)
    light = (1 + towards_sun / np.tan(sun.elevation_rad)) / np.sqrt(1 + south**2 + east**2)
    shade: Field = (light.clip(0.25, 2) ** 0.7).astype(np.float32)
    return shade


def _clouds(rng: np.random.Generator, size_px: int, share: float, sun: Sun) -> tuple[Field, Field]:
    """Opacity of clouds over `share` of the scene, and the depth of their shadow: two (h, w) in 0..1."""
    noise = fractal_noise(rng, size_px, size_px / 7, 2.4)
    if share == 0:
        return np.zeros_like(noise), np.zeros_like(noise)
    edge, softness = np.quantile(noise, 1 - share), np.float32(0.55)
    opacity = ((noise - edge) / softness + _LEAST_OPACITY).clip(0, 1).astype(np.float32)
    away_px = _CLOUD_HEIGHT_M / np.tan(sun.elevation_rad) / 10
    shift = round(away_px * np.cos(sun.azimuth_rad)), round(-away_px * np.sin(sun.azimuth_rad))
    return opacity, blur(np.roll(opacity, shift, (0, 1)), 0.25)


def _classify(ground: Field, cloud: Field, shadow: Field) -> NDArray[np.uint8]:
    """Scene classification at 20 m from the ground's reflectance and the clouds that were drawn."""
    ground, cloud, shadow = block_mean(ground, 2), block_mean(cloud, 2), block_mean(shadow, 2)
    red, nir, swir = ground[..., 2], ground[..., 6], ground[..., 8]
    scl = np.where(nir - red > 0.4 * (nir + red), SCL_VEGETATION, SCL_BARE)
    scl[(nir < 0.05) & (swir < 0.04)] = SCL_WATER
    scl[shadow > 0.25] = SCL_SHADOW
    for least_opacity, label in (
        (_LEAST_OPACITY, SCL_CIRRUS),
        (0.3, SCL_CLOUD_MEDIUM),
        (0.6, SCL_CLOUD_HIGH),
    ):
        scl[cloud > least_opacity] = label
    return scl.astype(np.uint8)


def _cast_shadows(land: Landscape, sun: Sun) -> NDArray[np.bool_]:
    """Where trees and houses throw their shadow at 2.5 m, (H, W)."""
    height_m = of_material("height_m")[land.units.material][land.unit].astype(np.float16)
    shaded = np.zeros(height_m.shape, bool)
    for step in (1, 2, 3, 4):
        drop_m = step * 2.5 * np.tan(sun.elevation_rad)
        shift = round(step * np.cos(sun.azimuth_rad)), round(-step * np.sin(sun.azimuth_rad))
        shaded |= np.roll(height_m, shift, (0, 1)) > height_m + drop_m
    return shaded


def _sowing_rows(angle_rad: Field, unit: NDArray[np.int32], top: int) -> Field:
    """Drill rows with tramlines every 24 m, -1..1 across each unit's rows."""
    y, x = np.ogrid[top : top + unit.shape[0], : unit.shape[1]]
    across_m = 2.5 * (x * np.cos(angle_rad)[unit] + y * np.sin(angle_rad)[unit])
    tramline = across_m % 24 < 3
    rows: Field = np.where(tramline, np.float32(-1.2), np.sin(across_m * np.float32(2 * np.pi / 7.5)))
    return rows


def _tone(reflectance: Field) -> NDArray[np.uint8]:
    return (255 * (2.9 * reflectance.clip(0, 0.345)) ** 0.6).astype(np.uint8)
