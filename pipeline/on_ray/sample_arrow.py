"""Samples as an Arrow stream: how they travel between processes, pixels never copied when read."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from data.sample import Imagery, ImageSeries, Sample
from indexer.table.row_stream import packed

_TEXTS = pa.list_(pa.string())
_PAIRS = pa.list_(_TEXTS)
_UTC = pa.timestamp("us", tz="UTC")
_SERIES = pa.struct(
    {
        "modality": pa.string(),
        "dtype": pa.string(),
        "shape": pa.list_(pa.int32()),  # T, C, H, W
        "pixels": pa.large_binary(),
        "valid": pa.large_binary(),
        "day_of_year": pa.list_(pa.int16()),
        "source_items": _TEXTS,
    }
)
_IMAGERY = pa.struct(
    {
        "collection": pa.string(),
        "provider": pa.string(),
        "licence": pa.string(),
        "attribution": _TEXTS,
        "decided": _TEXTS,
    }
)
SCHEMA = pa.schema(
    {
        "sample_id": pa.string(),
        "h3_cell": pa.int64(),
        "lon_deg": pa.float64(),
        "lat_deg": pa.float64(),
        "start": _UTC,
        "end": _UTC,
        "footprint": pa.list_(pa.list_(pa.float64())),
        "crs": pa.string(),
        "origin_m": pa.list_(pa.float64()),
        "grid_shape": pa.list_(pa.int32()),
        "valid_fraction": pa.float64(),
        "cloud_fraction": pa.float64(),
        "dropped": _PAIRS,
        "notes": _PAIRS,
        "imagery": pa.list_(_IMAGERY),
        "series": pa.list_(_SERIES),
    }
)


def to_arrow(samples: Sequence[Sample]) -> pa.Buffer:
    """An Arrow stream of `SCHEMA`."""
    return packed(pa.Table.from_pylist([_row(sample) for sample in samples], SCHEMA))


def from_arrow(stream: pa.Buffer) -> list[Sample]:
    """The samples of a stream; their pixels lie in it, and cannot be written."""
    return [sample for rows in pa.ipc.open_stream(stream) for sample in _samples(rows)]


def _row(sample: Sample) -> dict[str, Any]:
    series = [
        {
            "modality": modality,
            "dtype": one.pixels.dtype.str,
            "shape": one.pixels.shape,
            "pixels": one.pixels.tobytes(),
            "valid": one.valid.tobytes(),
            "day_of_year": one.day_of_year.tolist(),
            "source_items": one.source_items,
        }
        for modality, one in sample.series.items()
    ]
    imagery = [vars(source) for source in sample.imagery]
    return {**vars(sample), "series": series, "imagery": imagery}


def _samples(rows: pa.RecordBatch) -> Iterator[Sample]:
    series = iter(_series(rows["series"].flatten()))
    counts = rows["series"].value_lengths().to_pylist()
    for row, count in zip(rows.drop_columns("series").to_pylist(), counts, strict=True):
        yield _sample(row, dict(islice(series, count)))


def _sample(row: Mapping[str, Any], series: Mapping[str, ImageSeries]) -> Sample:
    tuples: dict[str, Any] = {name: tuple(row[name]) for name in ("origin_m", "grid_shape")}
    pairs = {name: tuple(map(tuple, row[name])) for name in ("footprint", "dropped", "notes")}
    imagery = tuple(_imagery(source) for source in row["imagery"])
    return Sample(**{**row, **tuples, **pairs, "imagery": imagery, "series": series})


def _imagery(source: Mapping[str, Any]) -> Imagery:
    return Imagery(
        **{**source, "attribution": tuple(source["attribution"]), "decided": tuple(source["decided"])}
    )


def _series(entries: pa.StructArray) -> Iterator[tuple[str, ImageSeries]]:
    names = ("modality", "dtype", "shape", "day_of_year", "source_items")
    texts = zip(*(entries.field(name).to_pylist() for name in names), strict=True)
    binaries = zip(_buffers(entries.field("pixels")), _buffers(entries.field("valid")), strict=True)
    for (modality, dtype, shape, days, items), (pixels, valid) in zip(texts, binaries, strict=True):
        dates, _, *size = shape
        yield (
            modality,
            ImageSeries(
                np.frombuffer(pixels, dtype).reshape(shape),
                np.frombuffer(valid, np.bool_).reshape(dates, *size),
                np.array(days, np.int16),
                tuple(items),
            ),
        )


def _buffers(values: pa.LargeBinaryArray) -> list[pa.Buffer]:
    """Each value where it lies; a scalar of Arrow would copy it."""
    if not len(values):
        return []
    _, starts, content = values.buffers()
    borders = np.frombuffer(starts, np.int64)[values.offset :][: len(values) + 1].tolist()
    return [content.slice(start, end - start) for start, end in pairwise(borders)]
