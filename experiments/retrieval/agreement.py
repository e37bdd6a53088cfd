"""Do two tables say of the same cells that the same cells are like them?"""

from dataclasses import dataclass
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa

from data.sphere import on_sphere
from indexer.geo.cells import boundary, cells_to_text, parents, resolutions

from .blocks import Interval, Scores, bootstrap, within
from .neighbours import CHUNK, Hidden, Neighbours, by_cosine
from .options import capped
from .pictures import draw_cells
from .report import Table
from .table_pair import TablePair
from .vector_case import BLOCK_RESOLUTION

K = 10  # neighbours of a cell
TOGETHER = 4  # asked cells in a cell of the picture, where only some were asked


@dataclass(frozen=True)
class Agreement:
    """Recall@10 of one table's neighbours among the other's: the same both ways, as both name as many."""

    pair: TablePair
    query: np.ndarray  # (q,) rows of the pair
    beyond_km: float
    shared: np.ndarray  # (q,) share of the ten nearest cells that both name
    shared_beyond: np.ndarray  # (q,) the same of cells farther than `beyond_km`; NaN where none is
    chance: np.ndarray  # (q,) what two tables share that know nothing of each other
    chance_beyond: np.ndarray


def agreement(pair: TablePair, *, beyond_km: float, max_queries: int, seed: int = 0) -> Agreement:
    """Exact neighbours of some cells in both tables, with and without the cells around them."""
    n = len(pair.cell)
    query = np.flatnonzero(capped(np.ones(n, bool), max_queries, seed))
    xyz = on_sphere(pair.lon_deg, pair.lat_deg)

    def itself(some: slice) -> np.ndarray:
        return np.asarray(np.arange(n) == query[some, None])

    def around(some: slice) -> np.ndarray:
        return np.asarray(itself(some) | within(xyz[query[some]], xyz, beyond_km))

    shared, chance = _shared(pair, query, itself)
    shared_beyond, chance_beyond = _shared(pair, query, around)
    return Agreement(pair, query, beyond_km, shared, shared_beyond, chance, chance_beyond)


def _shared(pair: TablePair, query: np.ndarray, hidden: Hidden) -> tuple[np.ndarray, np.ndarray]:
    """Share of the K nearest that both tables name, and what chance would give: (q,) each."""
    first, second = (_named(by_cosine(v[query], v, K, hidden)) for v in pair.vectors)
    named = (first >= 0).sum(axis=1)  # of both: as many are hidden
    same = ((first[:, :, None] == second[:, None, :]) & (first >= 0)[:, :, None]).sum(axis=(1, 2))
    left = np.concatenate([(~hidden(slice(i, i + CHUNK))).sum(axis=1) for i in range(0, len(query), CHUNK)])
    with np.errstate(invalid="ignore"):
        return same / named, named / left


def _named(neighbours: Neighbours) -> np.ndarray:
    """(q, k) rows, -1 where none was left."""
    return np.where(np.isneginf(neighbours.similarity), -1, neighbours.index)


def agreement_table(agreed: Agreement, seed: int) -> Table:
    """The means, with intervals over blocks of cells."""
    block = np.array([h3.cell_to_parent(text, _block_resolution(text)) for text in _texts(agreed)])
    rows = (
        ("all", *_line(agreed.shared, agreed.chance, block, seed)),
        (f"beyond {agreed.beyond_km:g} km", *_line(agreed.shared_beyond, agreed.chance_beyond, block, seed)),
    )
    names = " and ".join(agreed.pair.names)
    note = (
        f"{names}: share of a cell's ten nearest cells that both tables name. {'; '.join(agreed.pair.notes)}."
    )
    return Table("Neighbours", ("neighbours", "queries", "recall@10", "chance"), rows, note)


def _line(
    shared: np.ndarray, chance: np.ndarray, block: np.ndarray, seed: int
) -> tuple[float, Interval, float]:
    asked = np.isfinite(shared)
    if not asked.any():
        nothing = float("nan")
        return 0.0, Interval(nothing, nothing, nothing), nothing
    interval = bootstrap(Scores.plain(shared[asked], block[asked]), seed=seed)
    return float(asked.sum()), interval, float(chance[asked].mean())


def _texts(agreed: Agreement) -> list[str]:
    return cells_to_text(agreed.pair.cell[agreed.query])


def _block_resolution(cell: str) -> int:
    return min(BLOCK_RESOLUTION, int(h3.get_resolution(cell)))


def agreement_rows(agreed: Agreement) -> pa.Table:
    """The map: each asked cell with what the tables share there, least first."""
    rows = pa.table(
        {
            "h3_cell": agreed.pair.cell[agreed.query],
            "recall_at_10": agreed.shared,
            "recall_at_10_beyond": pa.array(agreed.shared_beyond, from_pandas=True),
            "lon": agreed.pair.lon_deg[agreed.query],
            "lat": agreed.pair.lat_deg[agreed.query],
        }
    )
    return rows.sort_by([("recall_at_10", "ascending"), ("h3_cell", "ascending")])


def draw_agreement(agreed: Agreement, path: Path) -> None:
    """The same as a picture: means over cells coarse enough to be seen, where few cells were asked."""
    known = np.isfinite(agreed.shared_beyond)
    values = np.where(known, agreed.shared_beyond, agreed.shared) if known.any() else agreed.shared
    what = f"beyond {agreed.beyond_km:g} km" if known.any() else "all neighbours"
    drawn, member = _drawn(
        agreed.pair.cell[agreed.query], was_thinned=len(agreed.query) < len(agreed.pair.cell)
    )
    means = np.bincount(member, values) / np.bincount(member)
    names = " and ".join(agreed.pair.names)
    title = f"{names}: recall@10, {what}, cells of resolution {resolutions(drawn[:1])[0]}"
    draw_cells([np.array(boundary(int(cell))) for cell in drawn], means, title, path)


def _drawn(cells: np.ndarray, was_thinned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cells to draw (m,), the finest that hold TOGETHER on average, and in which of them each is (n,)."""
    finest = int(resolutions(cells[:1])[0])
    for resolution in range(finest if was_thinned else 0, 0, -1):
        drawn, member = np.unique(parents(cells, resolution), return_inverse=True)
        if len(cells) >= TOGETHER * len(drawn):
            return drawn, member
    return cells, np.arange(len(cells))
