"""Vectors to measure search on: clustered, of low intrinsic dimension, in spatial order, with duplicates.

Embeddings of Earth observation vary in 6 to 17 directions, near places look alike, and the same place type
comes back far away. So a smooth field over the globe chooses each cell's kind and moves it about that kind in
LATENT dimensions; a fixed non-linear map makes unit vectors of it, and a little noise is added.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h3ronpy
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.sphere import on_sphere
from indexer.geo.cells import Cells, cells_at, centres
from indexer.geo.great_circle import EARTH_RADIUS_KM
from indexer.table.columns import Matrix, Similarities, has_direction

RESOLUTION = 9
PLACE_RESOLUTION = 5  # rows come in whole cells of this resolution, 2,401 to each
LATENT = 12
KINDS = 200
WAVELENGTHS_KM = (2.0, 10.0, 100.0, 1000.0)
DUPLICATE_SHARE = 0.01
FAULTY_SHARE = 0.001  # zero or not finite, as broken inputs make them
CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class VectorSet:
    """Rows in order of cell, and queries from cells of the same places that are no rows."""

    vectors: Matrix  # (n, d) float16, unit
    cells: Cells  # (n,) ascending, distinct
    draw: NDArray[np.float32]  # (n,) uniform in [0, 1): what a random filter looks at
    queries: Similarities  # (q, d) float32, unit
    dropped: int  # faulty rows, left out before any index saw them: a table refuses them

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[tuple[int, Similarities]]:
        """First row and float32 vectors of each piece."""
        for start in range(0, len(self.vectors), rows):
            yield start, self.vectors[start : start + rows].astype(np.float32)


def load(folder: Path) -> VectorSet:
    """Map what `write` wrote."""
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("vectors", "cells", "draw", "queries")
    }
    return VectorSet(**arrays, dropped=json.loads((folder / "facts.json").read_text())["dropped"])


def write(folder: Path, rows: int, dimension: int, queries: int, seed: int = 0) -> VectorSet:
    """Make a set once and keep it in a folder; memory is that of a chunk and of the keys."""
    if not (folder / "facts.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write(folder, rows, dimension, queries, np.random.default_rng(seed))
    return load(folder)


def _write(folder: Path, rows: int, dimension: int, queries: int, rng: np.random.Generator) -> None:
    faulty = max(int((rows + queries) * FAULTY_SHARE), 2)
    cells = some_cells(rows + queries + faulty, rng)
    order = rng.permutation(len(cells))
    is_faulty, is_query = np.zeros(len(cells), bool), np.zeros(len(cells), bool)
    is_faulty[order[:faulty]] = True
    is_query[order[faulty : faulty + queries]] = True
    landscape = Landscape.random(dimension, rng)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (rows, dimension))
    kept_cells, asked, done = np.empty(rows, np.uint64), [], 0
    for start in range(0, len(cells), CHUNK_ROWS):
        piece = slice(start, start + CHUNK_ROWS)
        made = landscape.vectors(cells[piece], rng)
        _spoil(made, is_faulty[piece], rng)
        usable = has_direction(made)
        kept = usable & ~is_query[piece]
        count = int(kept.sum())
        vectors[done : done + count], kept_cells[done : done + count] = made[kept], cells[piece][kept]
        asked.append(made[usable & is_query[piece]])
        done += count
    assert done == rows, (done, rows)
    np.save(folder / "cells.npy", kept_cells)
    np.save(folder / "draw.npy", rng.random(rows, dtype=np.float32))
    np.save(folder / "queries.npy", np.concatenate(asked).astype(np.float32))
    (folder / "facts.json").write_text(json.dumps({"dropped": faulty}))


def some_cells(count: int, rng: np.random.Generator) -> Cells:
    """Cells of whole places scattered over the globe, ascending: (count,)."""
    places = np.empty(0, np.uint64)
    while len(places) * 2300 < count + 2401:  # a pentagon has fewer descendants
        lon_deg, lat_deg = rng.uniform(-180, 180, 64), np.degrees(np.arcsin(rng.uniform(-1, 1, 64)))
        places = np.union1d(places, cells_at(lon_deg, lat_deg, PLACE_RESOLUTION))
    needed = rng.permutation(places)[: count // 2300 + 1]
    return np.sort(np.asarray(pa.array(h3ronpy.change_resolution(needed, RESOLUTION))))[:count]


def _spoil(made: Matrix, faulty: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Copy some vectors from other rows; make those that are to be faulty zero or not finite."""
    copies = rng.choice(len(made), (2, int(len(made) * DUPLICATE_SHARE)))
    made[copies[0]] = made[copies[1]]
    rows = np.flatnonzero(faulty)
    made[rows] = np.resize(np.array([0, np.nan, np.inf], np.float16), len(rows))[:, None]


@dataclass(frozen=True)
class Landscape:
    """Vectors as a function of place."""

    waves: NDArray[np.float64]  # (scales, 3, LATENT) directions over the wavelength, 1/km
    phases: NDArray[np.float64]  # (scales, LATENT)
    kinds: NDArray[np.float64]  # (KINDS, LATENT) centres
    kind_of_field: NDArray[np.float64]  # (LATENT, KINDS)
    inner: NDArray[np.float64]  # (LATENT, 4 LATENT)
    outer: NDArray[np.float64]  # (4 LATENT, d)

    @staticmethod
    def random(dimension: int, rng: np.random.Generator) -> Landscape:
        scales = np.array(WAVELENGTHS_KM)[:, None, None]
        return Landscape(
            waves=rng.normal(size=(len(WAVELENGTHS_KM), 3, LATENT)) / scales,
            phases=rng.uniform(0, 2 * np.pi, (len(WAVELENGTHS_KM), LATENT)),
            kinds=rng.normal(size=(KINDS, LATENT)),
            kind_of_field=rng.normal(size=(LATENT, KINDS)),
            inner=rng.normal(size=(LATENT, 4 * LATENT)) / np.sqrt(LATENT),
            outer=rng.normal(size=(4 * LATENT, dimension)),
        )

    def vectors(self, cells: Cells, rng: np.random.Generator) -> Matrix:
        """(n,) cells -> (n, d) float16, unit."""
        at_km = EARTH_RADIUS_KM * on_sphere(*centres(cells))  # (n, 3)
        fields = [
            np.sin(2 * np.pi * at_km @ wave + phase)
            for wave, phase in zip(self.waves, self.phases, strict=True)
        ]
        field = np.sum(fields, axis=0)  # (n, LATENT)
        kind = np.argmax(field @ self.kind_of_field, axis=1)
        latent = self.kinds[kind] + 0.3 * field + 0.3 * rng.normal(size=field.shape)
        bent = np.tanh(latent @ self.inner) @ self.outer
        bent += 0.02 * np.sqrt(4 * LATENT) * rng.normal(size=bent.shape)
        return np.asarray(bent / np.linalg.norm(bent, axis=1, keepdims=True), np.float16)


def intrinsic_dimension(vectors: Matrix, sample: int = 10_000, seed: int = 0) -> float:
    """TwoNN (Facco et al., 2017): from the ratio of the distances to the second and the first neighbour."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(vectors), min(sample, len(vectors)), replace=False)
    some = np.unique(vectors[np.sort(rows)].astype(np.float32), axis=0)
    log_ratios = []
    for start in range(0, len(some), 1000):
        squared = 2 - 2 * some[start : start + 1000] @ some.T
        first, second = np.sqrt(np.maximum(np.partition(squared, (1, 2), axis=1)[:, 1:3], 1e-12)).T
        log_ratios.append(np.log(second / first))
    ratios = np.sort(np.concatenate(log_ratios))
    trusted = ratios[: int(0.9 * len(ratios))]  # the largest tenth is left out, as the paper does
    survivors = 1 - np.arange(len(trusted)) / len(ratios)
    return float(-(trusted @ np.log(survivors)) / (trusted @ trusted))
