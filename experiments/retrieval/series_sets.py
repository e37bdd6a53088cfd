"""Labelled series of single pixels: one Parquet file per set, one row per place (docs/evaluation.md)."""

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.modality import S1, S2
from data.sample import InputError

COLUMNS = {"id", "lon", "lat", "label", "dates", "s2", "s1", "block", "split"}
L1C_BLUE_OVER_GREEN = 0.8  # over vegetation: L2A sets lie at 0.54-0.59, L1C sets at 1.00-1.12
MID_MONTH_DAY = 15


@dataclass(frozen=True)
class SeriesSet:
    """n places with T steps of time; absent steps and sensors are NaN."""

    name: str
    id: np.ndarray  # (n,) str
    lon_deg: np.ndarray  # (n,) float64
    lat_deg: np.ndarray
    label: list[str]  # (n,)
    block: np.ndarray  # (n,) str, H3 cell
    split: np.ndarray  # (n,) "train" or "test"
    s2: np.ndarray  # (n, T, len(s2_bands)) float32, reflectance x 10000
    s2_bands: tuple[str, ...]
    s1: np.ndarray  # (n, T, 2) float32 VV, VH in dB
    day_of_year: np.ndarray  # (n, T) int16, 0 = unknown
    first_day: np.ndarray  # (n,) datetime64[D], first step; NaT = unknown year
    last_day: np.ndarray  # (n,)
    s2_level: str  # "L2A" or "L1C"
    notes: tuple[str, ...]  # what the table must say of this set

    def __len__(self) -> int:
        return len(self.id)

    def take(self, rows: np.ndarray) -> "SeriesSet":
        """Some of the places."""
        arrays = (
            "id",
            "lon_deg",
            "lat_deg",
            "block",
            "split",
            "s2",
            "s1",
            "day_of_year",
            "first_day",
            "last_day",
        )
        picked = {name: getattr(self, name)[rows] for name in arrays}
        return replace(self, label=[self.label[i] for i in rows], **picked)

    @property
    def raw(self) -> np.ndarray:
        """(n, T, C) both sensors stacked, NaN where missing."""
        return np.concatenate([self.s2, self.s1], axis=2)


def read_series(path: Path) -> SeriesSet:
    """Read and check one set.

    Raises:
        InputError: not a Parquet file of this form, no rows, or values in another unit.
    """
    table = _read(path)
    bands = {name: _bands(table, name) for name in ("s2_bands", "s1_bands")}
    s2 = _cube(table["s2"], len(bands["s2_bands"]), nodata_zero=True)
    s1 = _cube(table["s1"], 2, nodata_zero=False)
    steps = max(s2.shape[1], s1.shape[1])
    s2, s1 = _stretched(s2, steps), _stretched(s1, steps)
    day_of_year, first, last = _calendar(table, steps)
    _check_units(path, s2, s1)
    level, level_note = _s2_level(table, s2, bands["s2_bands"])
    found = SeriesSet(
        name=path.stem,
        id=np.array(table["id"].to_pylist(), dtype=str),
        lon_deg=np.array(table["lon"].to_pylist(), dtype=float),
        lat_deg=np.array(table["lat"].to_pylist(), dtype=float),
        label=[str(x) for x in table["label"].to_pylist()],
        block=np.array([str(x) for x in table["block"].to_pylist()]),
        split=np.array(table["split"].to_pylist(), dtype=str),
        s2=s2,
        s2_bands=bands["s2_bands"],
        s1=s1,
        day_of_year=day_of_year,
        first_day=first,
        last_day=last,
        s2_level=level,
        notes=(level_note,) if level_note else (),
    )
    return replace(found, notes=found.notes + _remarks(found))


def _read(path: Path) -> pa.Table:
    if not path.exists():
        raise InputError(f"{path} is not there; expected a Parquet file of labelled series.")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{path} is no Parquet file ({error}); expected a Parquet file of labelled series."
        ) from error
    missing = sorted(COLUMNS - set(table.column_names))
    if missing or not len(table):
        raise InputError(
            f"{path} has {len(table)} rows and lacks {missing or 'no column'}; "
            f"expected rows with the columns {sorted(COLUMNS)}."
        )
    return table


def _bands(table: pa.Table, key: str) -> tuple[str, ...]:
    raw = (table.schema.metadata or {}).get(key.encode())
    bands = tuple(json.loads(raw)) if raw else {"s2_bands": S2.bands, "s1_bands": S1.bands}[key]
    known = {"s2_bands": S2.bands, "s1_bands": S1.bands}[key]
    if unknown := sorted(set(bands) - set(known)):
        raise InputError(f"Schema metadata {key} names {unknown}; expected some of {list(known)}.")
    return bands


def _cube(column: pa.ChunkedArray, n_bands: int, *, nodata_zero: bool) -> np.ndarray:
    """List of steps of bands -> (n, T, n_bands) float32 with NaN for nodata, padded at the end."""
    rows = column.to_pylist()
    steps = max((len(row) for row in rows if row), default=0)
    cube = np.full((len(rows), steps, n_bands), np.nan, dtype=np.float32)
    for i, row in enumerate(rows):
        if row:
            values = np.array(row, dtype=np.float32)
            if values.shape[1:] != (n_bands,):
                raise InputError(
                    f"Row {i} has steps of {values.shape[1:]} values; the bands named are {n_bands}."
                )
            cube[i, : len(values)] = values
    if nodata_zero:
        cube[(cube == 0).any(axis=2)] = np.nan
    else:
        cube[np.isnan(cube).any(axis=2)] = np.nan
    return cube


def _stretched(cube: np.ndarray, steps: int) -> np.ndarray:
    padding = ((0, 0), (0, steps - cube.shape[1]), (0, 0))
    return np.pad(cube, padding, constant_values=np.nan)


def _calendar(table: pa.Table, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Day of year of each step, first and last day. Only months known -> mid-month and no year."""
    n = len(table)
    day = np.zeros((n, steps), dtype=np.int16)
    first, last = np.full(n, "NaT", dtype="datetime64[D]"), np.full(n, "NaT", dtype="datetime64[D]")
    months = table["months"].to_pylist() if "months" in table.column_names else [None] * n
    for i, dates in enumerate(table["dates"].to_pylist()):
        if dates:
            day[i, : len(dates)] = [d.timetuple().tm_yday for d in dates]
            first[i], last[i] = min(dates), max(dates)
        elif known := months[i]:
            day[i, : len(known)] = [date(2021, m, MID_MONTH_DAY).timetuple().tm_yday for m in known]
    return day, first, last


def _check_units(path: Path, s2: np.ndarray, s1: np.ndarray) -> None:
    """A median outside what the statistics allow is a unit mix-up, which would silently ruin every number."""
    for modality, cube in ((S2, s2), (S1, s1)):
        if not np.isfinite(cube).any():
            continue
        medians = np.nanmedian(cube, axis=(0, 1))
        low, high = modality.valid_range
        # reflectance given as 0-1 instead of 0-10000, or linear power instead of dB, falls outside this
        floor = 30 if modality is S2 else low
        ceiling = high if modality is S2 else -1
        if (medians < floor).any() or (medians > ceiling).any():
            raise InputError(
                f"{path}: medians per band of {modality.name} are {np.round(medians, 3).tolist()}; expected "
                f"{floor} to {ceiling} ({modality.unit}). Convert the units first."
            )


def _s2_level(table: pa.Table, s2: np.ndarray, bands: tuple[str, ...]) -> tuple[str, str]:
    """Processing level that the metadata states (`s2_level`), else as blue over vegetation tells."""
    stated = (table.schema.metadata or {}).get(b"s2_level")
    if stated:
        return stated.decode(), ""
    at = {band: s2[..., i] for i, band in enumerate(bands)}
    if not {"B02", "B03", "B04", "B08"} <= set(at):
        return "L2A", "processing level unknown, taken as L2A"
    green = (at["B08"] - at["B04"]) > 0.4 * (at["B08"] + at["B04"])  # NDVI above 0.4
    if green.sum() < 20:
        return "L2A", "processing level unknown (no vegetation to tell by), taken as L2A"
    ratio = float(np.median(at["B02"][green] / at["B03"][green]))
    if ratio < L1C_BLUE_OVER_GREEN:
        return "L2A", ""
    return "L1C", f"S2 is Level-1C by its haze (blue/green over vegetation {ratio:.2f}; L2A is below 0.8)"


def _remarks(found: SeriesSet) -> tuple[str, ...]:
    notes = []
    if missing := [band for band in S2.bands if band not in found.s2_bands]:
        notes.append(f"lacks {', '.join(missing)}")
    if np.isnat(found.first_day).all():
        notes.append("no year, months alone: mid-month dates" if found.day_of_year.any() else "no dates")
    if not np.isfinite(found.s1).any():
        notes.append("no S1")
    duplicates = len(found) - len({*zip(found.lon_deg.tolist(), found.lat_deg.tolist(), strict=True)})
    if duplicates:
        notes.append(f"{duplicates} of {len(found)} rows share a position with another")
    return tuple(notes)
