"""skyhex in a notebook: open a table, embed imagery, search it.

    import skyhex
    table = skyhex.open_table("skyhex-data")
    hits = skyhex.search(table, cell="891f1d48a2bffff", k=10)
    hits.rows.to_pandas()

The one documented import. Everything is loaded on first use, so `import skyhex` costs nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from data.sample import Sample
    from encoder.embed import EmbeddingBatch, Encoder
    from indexer.filters import Filter
    from indexer.query import Query
    from indexer.search import Hits
    from indexer.table import EmbeddingTable

__version__ = "0.1.0"
_ROOT = Path(__file__).resolve().parent
_PACKAGES = ("data", "encoder", "indexer", "search_app")
_LAZY = {
    "EmbeddingTable": "indexer.table",
    "Encoder": "encoder.embed",
    "Filter": "indexer.filters",
    "Query": "indexer.query",
    "Region": "indexer.filters",
    "SkySense": "encoder.skysense",
    "build_index": "indexer.faiss_index",
    "fit_prototypes": "indexer.prototypes",
    "read_catalog": "data.stac",
    "read_chip": "data.reader",
}
__all__ = ["embed", "open_table", "search", "sql", *_LAZY]


def open_table(path: str | Path = "skyhex-data", snapshot: int | None = None) -> EmbeddingTable:
    """Open a table at its newest snapshot, or at the one named.

    Raises:
        TableError: there is no table, it is damaged, or the snapshot is unknown.
    """
    table: EmbeddingTable = _load("EmbeddingTable").open(Path(path), snapshot)
    return table


def embed(samples: Sequence[Sample | str | Path], encoder: Encoder | str = "nano") -> EmbeddingBatch:
    """Embed samples, or GeoTIFF chips named by their paths. `embedding` is (B, d) float32 of norm 1.

    Raises:
        InputError: a chip that cannot be read.
        CheckpointError: the weights cannot be loaded.
    """
    model: Encoder = _load("Encoder")(encoder) if isinstance(encoder, str) else encoder
    read = _load("read_chip")
    return model.embed([read(str(s), model.spec) if isinstance(s, str | Path) else s for s in samples])


def search(
    table: EmbeddingTable | str | Path,
    *,
    cell: str | int | None = None,
    lonlat: tuple[float, float] | None = None,
    vector: np.ndarray | None = None,
    query: Query | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    k: int = 20,
    filter: Filter | None = None,
) -> Hits:
    """The k rows most like a cell, a place, a vector or a whole `Query`. `Hits.rows` is a pyarrow table.

    Raises:
        QueryError: not exactly one thing to look like, an unknown cell, k below 1.
    """
    from indexer.errors import QueryError
    from indexer.filters import Filter, Region
    from indexer.query import Cell, LonLat, Query, Vector
    from indexer.search import search as search_table

    given = [thing for thing in (cell, lonlat, vector, query) if thing is not None]
    if len(given) != 1:
        raise QueryError(f"{len(given)} of cell, lonlat, vector and query were given; give exactly one.")
    if bbox is not None and filter is not None:
        raise QueryError(
            "Both bbox and filter were given; put the box in the filter: Region.from_bbox(W, S, E, N)."
        )
    if bbox is not None:
        filter = Filter(region=Region.from_bbox(*bbox))
    if cell is not None:
        query = Query((Cell.parse(cell),))
    elif lonlat is not None:
        query = Query((LonLat(*lonlat),))
    elif vector is not None:
        query = Query((Vector(vector),))
    assert query is not None
    opened = open_table(table) if isinstance(table, str | Path) else table
    return search_table(opened, query, k=k, filter=filter or Filter())


def sql(table: EmbeddingTable | str | Path, query: str) -> Any:
    """Rows of a SELECT over `embeddings`, `prototypes` and `regions`, as a pyarrow table.

    Raises:
        QueryError: the query does anything but read the table.
    """
    opened = open_table(table) if isinstance(table, str | Path) else table
    return _import("indexer.sql").run_sql(opened, query)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'skyhex' has no attribute {name!r}")
    return _load(name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _load(name: str) -> Any:
    return getattr(_import(_LAZY[name]), name)


def _import(module: str) -> Any:
    check_packages()
    return importlib.import_module(module)


def check_packages() -> None:
    """Make sure that `data`, `encoder`, `indexer` and `search_app` are ours.

    Their names are plain, so a stray `data.py` in the working directory can stand in front of them.

    Raises:
        ImportError: naming the file that was found, the one expected, and what to do.
    """
    for package in _PACKAGES:
        expected = _ROOT / package / "__init__.py"
        spec = (
            importlib.util.find_spec(package) if package not in sys.modules else sys.modules[package].__spec__
        )
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != expected:
            raise ImportError(
                f"`import {package}` finds {found}, expected {expected}. "
                f"Rename the stray {package}, or start Python in another directory."
            )
