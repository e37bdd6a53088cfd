"""A search written out row by row, to compare the real one with: plain loops, no index, no ranges."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from indexer.geo import cells
from indexer.geo.great_circle import distance_km
from indexer.prototypes.assignments import read_assignments
from indexer.prototypes.regional import fit_prototypes
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY, make_rows

from ..tolerance import cosine_error
from .random_rows import MODEL, columns_for, random_cells, squares
from .small_tables import keys, whole

VECTORS = ("embedding", "embedding_s2", "embedding_s1")
Row = dict[str, Any]
Key = tuple[object, ...]

# Predicates of `where`, and the same in Python; null is not true.
PREDICATES = {
    "cloud_fraction < 0.4": lambda row: row["cloud_fraction"] < np.float32(0.4),
    "n_hr = 0 OR valid_fraction > 0.7": lambda row: (
        row["n_hr"] == 0 or row["valid_fraction"] > np.float32(0.7)
    ),
    "prototype = 1": lambda row: row.get("prototype") == 1,
    "prototype IS NULL -- not yet fitted": lambda row: row.get("prototype") is None,
    "sample_id LIKE 'b%'": lambda row: row["sample_id"].startswith("b"),
}


def varied_rows(seed: int, places: int = 50) -> pa.Table:
    """Places near and far, each with up to three rows of months, seasons or years; some lack a modality."""
    rng = np.random.default_rng(seed)
    near = random_cells(places - places // 4, seed)
    far = random_cells(places // 4, seed, box=(178.5, -18.0, 179.9, -16.0))
    h3_cell, names, starts, ends = [], [], [], []
    for cell in np.unique(np.r_[near, far]):
        for _ in range(rng.integers(1, 4)):
            start = datetime(int(rng.integers(2022, 2025)), int(rng.integers(1, 13)), 1, tzinfo=UTC)
            h3_cell.append(cell)
            names.append(str(rng.choice(["a", "b"])))
            starts.append(start)
            ends.append(start + timedelta(days=int(rng.choice([28, 91, 365]))))
    first_of_key = sorted(
        {key: i for i, key in enumerate(zip(h3_cell, names, starts, ends, strict=True))}.values()
    )
    cell = np.array(h3_cell, np.uint64)[first_of_key]
    columns = columns_for(cell, seed)
    one_modality = {}
    for name in ("s2", "s1"):
        vectors = columns["embedding"] + rng.normal(scale=0.5, size=columns["embedding"].shape)
        absent = rng.random(len(cell)) < 0.3
        one_modality[f"embedding_{name}"] = np.where(absent[:, None], np.nan, vectors)
        columns[f"n_{name}"] = np.where(absent, 0, 3)
    pick = {"sample_id": names, "start": starts, "end": ends}
    columns |= {name: [values[i] for i in first_of_key] for name, values in pick.items()}
    return make_rows(**columns | one_modality | {"footprint": squares(cell, 0.05)})


def varied_table(path: Path, seed: int = 0) -> EmbeddingTable:
    """`varied_rows` with prototypes, and some that came after them."""
    table = EmbeddingTable.create(path, MODEL, h3_resolution=9)
    fit_prototypes(table.upsert(varied_rows(seed)), region_resolution=1, per_region=3)
    return EmbeddingTable.open(path).upsert(varied_rows(seed + 100, places=12))


class Reference:
    """All rows of a table, and the slow answers."""

    def __init__(self, table: EmbeddingTable) -> None:
        held = whole(table)
        matrices = {name: to_matrix(held[name]).astype(np.float64) for name in VECTORS}
        given = read_assignments(table)
        prototypes = dict(
            zip(keys(given), given.select(["region_cell", "prototype"]).to_pylist(), strict=True)
        )
        lon, lat = cells.centres(held["h3_cell"].to_numpy())
        self.rows: dict[Key, Row] = {}
        plain = held.drop_columns([*VECTORS, "bbox", "source_items"]).to_pylist()
        for i, (key, row) in enumerate(zip(keys(held), plain, strict=True)):
            vectors = {name: matrix[i] for name, matrix in matrices.items() if np.isfinite(matrix[i]).all()}
            place = {"lon": lon[i], "lat": lat[i]}
            self.rows[key] = row | vectors | place | prototypes.get(key, {})

    def matching(self, words: dict[str, Any]) -> set[Key]:
        """Keys of the rows that all conditions hold."""
        return {
            key
            for key, row in self.rows.items()
            if in_place(row, words) and in_time(row, words) and fits(row, words)
        }

    def example(self, cell: int, column: str, words: dict[str, Any]) -> tuple[np.ndarray, set[Key]]:
        """What a cell stands for: its latest period that the dates allow, its samples averaged."""
        mine = {key: row for key, row in self.rows.items() if key[0] == cell and column in row}
        mine = {key: row for key, row in mine.items() if in_time(row, words)} or mine
        period = max((key[3], key[2]) for key in mine)
        own = {key: row[column] for key, row in mine.items() if (key[3], key[2]) == period}
        return unit(np.mean(list(own.values()), axis=0)), set(own)

    def similarity(self, wanted: list[np.ndarray], column: str) -> dict[Key, float]:
        """Of each row that has the vector, to the one of `wanted` that it is most like."""
        return {
            key: min(1.0, max(float(unit(vector) @ unit(row[column])) for vector in wanted))
            for key, row in self.rows.items()
            if column in row
        }


def in_place(row: Row, words: dict[str, Any]) -> bool:
    """bbox, within, near, cells; by the footprint if it is asked."""
    centre, shape = shapely.Point(row["lon"], row["lat"]), shapely.from_wkb(row["geometry"])
    what = shape if words.get("footprint") else centre
    areas = []
    if "bbox" in words:
        areas.append(shapely.box(*words["bbox"]))
    if "within" in words:
        areas.append(shapely.geometry.shape(words["within"]))
    if not all(area.intersects(what) for area in areas):
        return False
    if "near" in words:
        lon, lat, km = words["near"]
        if distance_km(lon, lat, row["lon"], row["lat"]) > km:
            return False
    coarse = words.get("cells")
    return coarse is None or any(cells.parent(row["h3_cell"], cells.resolution_of(c)) == c for c in coarse)


def in_time(row: Row, words: dict[str, Any]) -> bool:
    """start, end, months: day by day."""
    days = [
        row["start_datetime"] + timedelta(days=n)
        for n in range((row["end_datetime"] - row["start_datetime"]).days)
    ]
    start, end = (words[side].replace(tzinfo=UTC) if side in words else None for side in ("start", "end"))
    overlaps = any((start is None or day >= start) and (end is None or day < end) for day in days)
    return overlaps and (not words.get("months") or any(day.month in words["months"] for day in days))


def fits(row: Row, words: dict[str, Any]) -> bool:
    """modalities, where."""
    has = all(row[f"n_{name}"] > 0 for name in words.get("modalities", ()))
    return has and ("where" not in words or bool(PREDICATES[words["where"]](row)))


def unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def check(found: pa.Table, similarity: dict[Key, float], allowed: set[Key], k: int) -> None:
    """The k best of the rows allowed, in order, each with its own similarity."""
    best = sorted((similarity[key] for key in allowed & similarity.keys()), reverse=True)[:k]
    got = keys(found.select(KEY))
    assert len(got) == len(set(got)) == len(best)
    assert set(got) <= allowed
    atol = cosine_error(MODEL.dimension)
    for values in (found["similarity"].to_numpy(), [similarity[key] for key in got]):
        np.testing.assert_allclose(values, best, rtol=0, atol=atol)
