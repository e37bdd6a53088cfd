"""How regional prototypes moved from one fit to the next."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..table.columns import DECIMALS, Cosines, Similarities, unit
from ..table.embedding_table import EmbeddingTable
from ..table.manifest import read_manifest, snapshot_numbers
from .layout import KIND
from .regional import Prototypes, read_prototypes


def drift(before: Prototypes, after: Prototypes) -> pa.Table:
    """How each region's prototypes moved between two fits, for regions that both have.

    Returns:
        region_cell, prototypes (how many later ones), mean_cosine and least_cosine: of each later prototype
        to the earlier one most like it, 1 if none moved; the region that moved most first.
    """
    regions = np.intersect1d(before.regions, after.regions)
    nearest = [_nearest(after.of_region(r), before.of_region(r)) for r in regions.tolist()]
    rows = pa.table(
        {
            "region_cell": regions,
            "prototypes": pa.array([len(cosines) for cosines in nearest], pa.int64()),
            "mean_cosine": pa.array([float(cosines.mean()) for cosines in nearest], pa.float32()),
            "least_cosine": pa.array([float(cosines.min()) for cosines in nearest], pa.float32()),
        }
    )
    return rows.sort_by([("mean_cosine", "ascending"), ("region_cell", "ascending")])


def _nearest(later: Similarities, earlier: Similarities) -> Cosines:
    """The cosine of each later prototype (p, d) to the earlier one most like it: (p,)."""
    return np.asarray((unit(later) @ unit(earlier).T).max(axis=1).round(DECIMALS))


def drift_of(older: EmbeddingTable, newer: EmbeddingTable) -> pa.Table:
    """`drift` of two snapshots. Raises `TableError` if either has no prototypes."""
    return drift(read_prototypes(older), read_prototypes(newer))


def earlier_fit(table: EmbeddingTable) -> EmbeddingTable | None:
    """The newest kept snapshot with prototypes of an earlier fit; None where there is none."""
    mine = table.sidecar(KIND)
    for number in reversed([n for n in snapshot_numbers(table.storage) if n < table.snapshot]):
        older = EmbeddingTable(table.storage, read_manifest(table.storage, number))
        theirs = older.sidecar(KIND)
        if theirs is None:
            return None
        if mine is None or theirs.files != mine.files:
            return older
    return None
