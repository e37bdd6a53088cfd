"""Series of single pixels -> Samples: one small constant patch each, so that the encoder can take them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import h3
import numpy as np

from data.modality import S2
from data.sample import ImageSeries, InputError, Sample, SampleSpec

from .series_sets import SeriesSet

H3_RESOLUTION = 12
UNKNOWN_PERIOD = (datetime(2015, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class SensorRules:
    """What may stand in for what. Both are printed with every number they touch."""

    fill_band: tuple[tuple[str, str], ...] = ()  # (missing band, band to copy): (("B8A", "B08"),)
    allow_l1c: bool = False

    @classmethod
    def parse(cls, fills: Sequence[str], allow_l1c: bool) -> "SensorRules":
        """From the command line's words, `B8A=B08`.

        Raises:
            InputError: not two Sentinel-2 bands joined by `=`.
        """
        pairs = []
        for word in fills:
            missing, _, source = word.partition("=")
            if missing not in S2.bands or source not in S2.bands:
                raise InputError(
                    f"--fill-band came as {word!r}; expected BAND=BAND of {', '.join(S2.bands)}."
                )
            pairs.append((missing, source))
        return cls(tuple(pairs), allow_l1c)


def usable_sensors(found: SeriesSet, rules: SensorRules) -> tuple[SeriesSet, tuple[str, ...]]:
    """The set as the encoder may see it: ten S2 bands or none. Notes say what was filled or left out."""
    filled, notes = list(found.s2_bands), []
    order = {band: i for i, band in enumerate(found.s2_bands)}
    for missing, source in rules.fill_band:
        if missing not in order and source in order:
            order[missing] = order[source]
            filled.append(missing)
            notes.append(f"{missing} filled with {source}")
    lacking = [band for band in S2.bands if band not in filled]
    refused = ""
    if lacking:
        refused = f"{', '.join(lacking)} missing: give --fill-band to use it"
    elif found.s2_level != "L2A" and not rules.allow_l1c:
        refused = f"{found.s2_level}: give --allow-l1c to use it"
    elif found.s2_level != "L2A":
        notes.append(f"{found.s2_level} taken as L2A")
    if refused:
        s2 = np.full((*found.s2.shape[:2], len(S2.bands)), np.nan, dtype=np.float32)
        notes.append(f"encoder sees no S2 ({refused})")
    else:
        s2 = found.s2[:, :, [order[band] for band in S2.bands]]
    return replace(found, s2=s2, s2_bands=S2.bands), tuple(notes)


def to_samples(
    found: SeriesSet,
    spec: SampleSpec,
    *,
    cells: int = 1,
    max_dates: int | None = None,
    use: Sequence[str] = ("s2", "s1"),
) -> list[Sample | None]:
    """One Sample per place, a constant patch of `cells` x `cells` grid cells.

    Args:
        found: with the ten S2 bands (see `usable_sensors`).
        max_dates: dates of each sensor, at most, spread over the period; all if None.
        use: sensors to show.

    Returns:
        None for a place with no valid step of any sensor.
    """
    return [_sample(found, i, spec, cells, max_dates, use) for i in range(len(found))]


def _sample(
    found: SeriesSet, i: int, spec: SampleSpec, cells: int, max_dates: int | None, use: Sequence[str]
) -> Sample | None:
    series = {}
    for modality, values in (("s2", found.s2[i]), ("s1", found.s1[i])):
        steps = np.flatnonzero(np.isfinite(values).all(axis=1))
        if modality in use and len(steps):
            kept = spread(steps, max_dates)
            series[modality] = _constant(
                modality, values[kept], found.day_of_year[i, kept], cells * spec.px_per_cell[modality]
            )
    if not series:
        return None
    lon, lat = float(found.lon_deg[i]), float(found.lat_deg[i])
    start, end = _period(found, i)
    return Sample(
        sample_id=str(found.id[i]),
        h3_cell=h3.str_to_int(h3.latlng_to_cell(lat, lon, H3_RESOLUTION)),
        lon_deg=lon,
        lat_deg=lat,
        start=start,
        end=end,
        footprint=_ring(lon, lat),
        crs="OGC:CRS84",
        origin_m=(0.0, 0.0),
        grid_shape=(cells, cells),
        series=series,
        valid_fraction=1.0,
        cloud_fraction=float("nan"),
    )


def spread(steps: np.ndarray, at_most: int | None) -> np.ndarray:
    """`at_most` of the steps, evenly spaced."""
    if at_most is None or len(steps) <= at_most:
        return steps
    return np.asarray(steps[np.round(np.linspace(0, len(steps) - 1, at_most)).astype(int)])


def _constant(modality: str, values: np.ndarray, day_of_year: np.ndarray, side_px: int) -> ImageSeries:
    """(T, C) values -> a series of constant (side_px, side_px) images."""
    if modality == "s2":
        values = np.clip(np.round(values), 1, 65535).astype(np.uint16)
    shape = (*values.shape, side_px, side_px)
    return ImageSeries(
        pixels=np.broadcast_to(values[:, :, None, None], shape),
        valid=np.ones((len(values), side_px, side_px), dtype=bool),
        day_of_year=day_of_year.astype(np.int16),
        source_items=("",) * len(values),
    )


def _period(found: SeriesSet, i: int) -> tuple[datetime, datetime]:
    if np.isnat(found.first_day[i]):
        return UNKNOWN_PERIOD
    first, last = (
        datetime.combine(day[i].item(), datetime.min.time(), UTC) for day in (found.first_day, found.last_day)
    )
    return first, last + timedelta(days=1)


def _ring(lon: float, lat: float) -> tuple[tuple[float, float], ...]:
    half = 0.00005  # about 5 m: one 10 m pixel
    return tuple((lon + half * x, lat + half * y) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)))
