"""Series of single pixels: a Parquet with one row per place -> arrays, without labels."""

import datetime
import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .modality import S1, S2
from .sample import InputError

COLUMNS = ("id", "lon", "lat", "block", "split", "dates", "s2", "s1")


@dataclass(frozen=True)
class PixelSeries:
    """Series of n places with up to T dates; places with fewer are padded with dates that are not valid."""

    id: np.ndarray  # (n,) str
    lon_deg: np.ndarray  # (n,) float64
    lat_deg: np.ndarray  # (n,) float64
    block: np.ndarray  # (n,) str, H3 cell that lies in one part of the split as a whole
    split: np.ndarray  # (n,) str, "train" or "test"
    day_of_year: np.ndarray  # (n, T) int16, 1-366; 0 = unknown
    s2: np.ndarray  # (n, T, 10) uint16 reflectance x 10000
    s2_valid: np.ndarray  # (n, T) bool
    s1: np.ndarray  # (n, T, 2) float32 dB
    s1_valid: np.ndarray  # (n, T) bool

    def __len__(self) -> int:
        return len(self.id)

    def take(self, rows: np.ndarray) -> "PixelSeries":
        """The places of these rows, by index or by mask."""
        return PixelSeries(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def read_pixel_series(path: Path, fill_band: dict[str, str] | None = None) -> PixelSeries:
    """Reads the columns id, lon, lat, block, split, dates (or months), s2, s1. Labels are never read.

    Args:
        path: A Parquet file whose schema metadata names `s2_bands`.
        fill_band: For a band that the file lacks, the one that stands in for it, as {"B8A": "B08"}.

    Raises:
        InputError: the file has no such columns, or lacks a band that nothing fills.
    """
    try:
        schema = pq.read_schema(path)
        wanted = [name for name in (*COLUMNS, "months") if name in schema.names]
        table = pq.read_table(path, columns=wanted).combine_chunks()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path} is no Parquet file that can be read ({error}): a file of pixel series was expected"
        ) from error
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing)}: it is not a file of pixel series")
    bands = json.loads((schema.metadata or {}).get(b"s2_bands", b"[]"))
    order = _band_order(bands, fill_band or {}, path)
    s2 = _padded(table["s2"], len(bands), np.uint16)[..., order]  # (n, T, 10)
    dates = s2.shape[1]
    s1 = _padded(table["s1"], len(S1.bands), np.float32, dates)
    return PixelSeries(
        id=_strings(table["id"]),
        lon_deg=table["lon"].to_numpy(),
        lat_deg=table["lat"].to_numpy(),
        block=_strings(table["block"]),
        split=_strings(table["split"]),
        day_of_year=_days(table, dates),
        s2=s2,
        s2_valid=np.asarray((s2 > 0).all(axis=-1)),
        s1=np.nan_to_num(s1),
        s1_valid=np.isfinite(s1).all(axis=-1),
    )


def _band_order(bands: list[str], fill_band: dict[str, str], path: Path) -> list[int]:
    sources = [band if band in bands else fill_band.get(band, band) for band in S2.bands]
    lacking = [band for band in sources if band not in bands]
    if lacking:
        raise InputError(
            f"{path} has no Sentinel-2 band {', '.join(lacking)}: name one that stands in for it"
        )
    return [bands.index(band) for band in sources]


def _strings(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy(zero_copy_only=False).astype(str))


def _padded(column: pa.ChunkedArray, bands: int, dtype: type, dates: int = 0) -> np.ndarray:
    """list<list<number>> -> (n, T, bands); null and what is padded are 0, or NaN for floats."""
    rows = column.combine_chunks()
    counts = rows.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)  # (n,)
    fill = 0 if np.issubdtype(dtype, np.integer) else np.nan
    out: np.ndarray = np.full((len(rows), max(dates, int(counts.max(initial=0))), bands), fill, dtype=dtype)
    values = rows.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, bands)
    out[np.arange(out.shape[1]) < counts[:, None]] = values
    return out


def _days(table: pa.Table, dates: int) -> np.ndarray:
    """(n, T) day of year; the middle of the month where only months are known."""
    out = np.zeros((len(table), dates), dtype=np.int16)
    given = table["dates"].to_pylist()
    months = table["months"].to_pylist() if "months" in table.column_names else [None] * len(table)
    middle = [datetime.date(2021, month, 15).timetuple().tm_yday for month in range(1, 13)]
    cache: dict[tuple[datetime.date, ...], list[int]] = {}
    for row, (days, month) in enumerate(zip(given, months, strict=True)):
        if max(len(days or ()), len(month or ())) > dates:
            count = len(days or month)
            raise InputError(f"row {row} has {count} dates and {dates} steps: expected as many of both")
        if days:
            key = tuple(days)
            out[row, : len(days)] = cache.setdefault(key, [day.timetuple().tm_yday for day in days])
        elif month:
            out[row, : len(month)] = [middle[m - 1] for m in month]
    return out
