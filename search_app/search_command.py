"""The words of `skyhex search` turned into a query and a filter."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa

from indexer.cells import parse_cell
from indexer.errors import QueryError
from indexer.filters import Filter, Region
from indexer.query import Cell, Example, LonLat, Query, Vector
from indexer.table import EmbeddingTable

COLUMNS = {
    "fused": "embedding",
    "geo": "embedding_geo",
    "hr": "embedding_hr",
    "s2": "embedding_s2",
    "s1": "embedding_s1",
}


@dataclass(frozen=True)
class QueryWords:
    """What a person gave to look like, and not to look like."""

    cells: Sequence[str]
    lonlats: Sequence[str]  # "LON,LAT"
    chips: Sequence[Path]
    vectors: Sequence[Path]
    not_cells: Sequence[str]
    using: str = "fused"
    against: str = "fused"
    weights: str = "nano"


@dataclass(frozen=True)
class RegionWords:
    """Where to look: at most one of them."""

    bbox: tuple[float, float, float, float] | None = None
    within: Path | None = None
    cells: str | None = None


def build_query(table: EmbeddingTable, words: QueryWords) -> Query:
    """The query; chips go through the encoder first.

    Raises:
        QueryError: nothing to look like, a name or an id that cannot be read, a table of another model.
        InputError: a chip that cannot be embedded.
    """
    positives: list[Example] = [
        *(Cell(parse_cell(text)) for text in words.cells),
        *(_lonlat(text) for text in words.lonlats),
        *(Vector(vector) for vector in _embed_chips(table, words.chips, words)),
        *(Vector(_read_vector(path)) for path in words.vectors),
    ]
    if not positives:
        raise QueryError(
            "Nothing to look like was given; add --cell ID, --lonlat LON LAT, --chip TIF or --vector FILE."
        )
    return Query(
        positives=tuple(positives),
        negatives=tuple(Cell(parse_cell(text)) for text in words.not_cells),
        using=_column(words.using, "--using"),
        against=_column(words.against, "--against"),
    )


def build_filter(
    words: RegionWords, *, start: datetime | None, end: datetime | None, where: str | None = None
) -> Filter:
    """The region and the time to look in.

    Raises:
        QueryError: several regions, a polygon that is not valid, dates the wrong way round.
    """
    regions = []
    if words.bbox is not None:
        regions.append(Region.from_bbox(*words.bbox))
    if words.within is not None:
        regions.append(Region.from_geojson(words.within))
    if words.cells is not None:
        regions.append(Region.from_cells([parse_cell(text) for text in words.cells.split(",")]))
    if len(regions) > 1:
        raise QueryError("Several regions were given; choose one of --bbox, --within and --cells.")
    return Filter(region=regions[0] if regions else None, start=start, end=end, where=where)


def for_people(rows: pa.Table) -> pa.Table:
    """The columns of a result that fit a terminal of 80 characters."""
    starts, ends = rows["start_datetime"].to_pylist(), rows["end_datetime"].to_pylist()
    columns = {
        "rank": rows["rank"],
        "like": [f"{similarity:.3f}" for similarity in rows["similarity"].to_pylist()],
        "h3_cell": rows["h3_cell"],
        "place": [_without_cell(i, c) for i, c in zip(*_lists(rows, "sample_id", "h3_cell"), strict=True)],
        "period": [_period(start, end) for start, end in zip(starts, ends, strict=True)],
        "lon": [f"{lon:.4f}" for lon in rows["lon"].to_pylist()],
        "lat": [f"{lat:.4f}" for lat in rows["lat"].to_pylist()],
    }
    if not any(columns["place"]):
        del columns["place"]  # an area's samples have no name but their cell
    return pa.table(columns)


def _period(start: datetime, end: datetime) -> str:
    """A day, or the first and the last month of [start, end)."""
    last = end - timedelta(microseconds=1)
    return f"{start:%Y-%m-%d}" if end - start <= timedelta(days=1) else f"{start:%Y-%m}..{last:%Y-%m}"


def _lists(rows: pa.Table, *names: str) -> list[list[Any]]:
    return [rows[name].to_pylist() for name in names]


def _without_cell(sample_id: str, cell: int) -> str:
    return "" if sample_id == h3.int_to_str(cell) else sample_id


def _lonlat(text: str) -> LonLat:
    try:
        lon, lat = (float(number) for number in text.split(","))
    except ValueError as error:
        raise QueryError(f"--lonlat came as {text!r}; expected LON LAT in degrees.") from error
    return LonLat(lon, lat)


def _column(word: str, option: str) -> str:
    if word not in COLUMNS:
        raise QueryError(f"{option} came as {word!r}; expected one of {', '.join(COLUMNS)}.")
    return COLUMNS[word]


def _embed_chips(table: EmbeddingTable, paths: Sequence[Path], words: QueryWords) -> list[np.ndarray]:
    if not paths:
        return []
    from data.reader import read_chip
    from encoder.embed import Encoder

    encoder = Encoder(words.weights)
    samples = [read_chip(str(path), encoder.spec) for path in paths]
    if encoder.info.digest != table.model.digest:
        raise QueryError(
            f"The table was made with {table.model}, the chip would be embedded with {encoder.info.name} "
            f"({encoder.info.digest[:12]}): name the table's weights with --weights FILE."
        )
    batch = encoder.embed(samples)
    return list(batch.by_modality.get(words.using, batch.embedding))


def _read_vector(path: Path) -> np.ndarray:
    try:
        if path.suffix == ".npy":
            vector = np.load(path, allow_pickle=False)
        else:
            vector = np.asarray(json.loads(path.read_text(encoding="utf-8")), np.float32)
        return np.asarray(vector, np.float32)
    except (ValueError, TypeError) as error:
        raise QueryError(
            f"{path} holds no vector ({error}); expected a .npy array or a JSON list of numbers."
        ) from error
