"""Each sensor's vectors alone: do they use their dimensions, and do sensors keep to themselves?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from indexer.table.columns import unit
from indexer.table.vector_spread import effective_rank, random_cosine

from .embedding import Embedded
from .leakage import group_excess, mixed_subsets
from .protocols import finite_rows
from .report import Cell, Table

LEAST_ROWS = 1_000  # that a rank is given of
SUBSET_ROWS = 2_000  # whose neighbours are looked at, at most
HEADER = ("set", "vectors", "rows", "effective rank", "cosine of random pairs", "share", "base")
NOTE = (
    "Effective rank: exp of the entropy of the centred covariance's eigenvalues, of 1,000 rows or more. "
    "Gap: distance of two sensors' mean vectors. Share: of the 10 nearest neighbours those seen by the "
    "query's sensor subset, each place by one subset drawn at random; base: what chance would give."
)


@dataclass(frozen=True)
class Seen:
    """What an encoder made of one set."""

    name: str
    embedded: Embedded


def sensor_table(sets: Sequence[Seen], seed: int) -> Table | None:
    """Lines of each set, and of all sets together where they are several; None without a vector."""
    lines = [line for one in sets for line in sensor_lines(one.name, one.embedded, seed)]
    if len(sets) > 1:
        lines += sensor_lines("all", _joined([one.embedded for one in sets]), seed)
    return Table("Sensors", HEADER, tuple(lines), NOTE) if lines else None


def sensor_lines(name: str, embedded: Embedded, seed: int) -> list[tuple[Cell, ...]]:
    """Of the whole, of each sensor alone, of each two sensors, and of all subsets mixed."""
    nan = float("nan")
    alone = {"fused": embedded.fused, **embedded.by_modality}
    units = {key: unit for key, vectors in alone.items() if len(unit := directed(vectors)) > 1}
    lines: list[tuple[Cell, ...]] = [
        (name, key, len(x), effective_rank(x) if len(x) >= LEAST_ROWS else nan, random_cosine(x), nan, nan)
        for key, x in units.items()
    ]
    sensors = {key: x for key, x in units.items() if key != "fused"}
    for one, other in combinations(sensors, 2):
        gap = float(np.linalg.norm(sensors[one].mean(axis=0) - sensors[other].mean(axis=0)))
        lines.append((name, f"gap {one} - {other}: {gap:.3f}", nan, nan, nan, nan, nan))
    if mixed := subset_share(embedded, seed):
        lines.append((name, "neighbours of the same subset", mixed[0], nan, nan, *mixed[1:]))
    return lines


def subset_share(embedded: Embedded, seed: int) -> tuple[int, float, float] | None:
    """Places that have all sensors, the share of neighbours of the query's subset, and its base."""
    vectors = {key: v for key, v in embedded.by_modality.items() if np.isfinite(v).any()}
    if len(vectors) < 2:
        return None
    rows = np.flatnonzero(finite_rows(embedded.fused, *vectors.values()))
    rows = np.random.default_rng(seed).permutation(rows)[:SUBSET_ROWS]
    if len(rows) < 20:
        return None
    mixed, code = mixed_subsets(embedded.fused[rows], {k: v[rows] for k, v in vectors.items()}, seed)
    share, base = group_excess(mixed, code, rows, rows)
    return len(rows), share.mean, base


def ranks(embedded: Sequence[Embedded]) -> dict[str, float]:
    """Effective rank by column of a table, over all sets; columns of too few rows are left out."""
    whole = _joined(embedded)
    columns = {"embedding": whole.fused, **{f"embedding_{k}": v for k, v in whole.by_modality.items()}}
    units = {name: directed(vectors) for name, vectors in columns.items()}
    return {name: round(effective_rank(x), 2) for name, x in units.items() if len(x) >= LEAST_ROWS}


def directed(vectors: np.ndarray) -> np.ndarray:
    """Those vectors (n, d) that are finite and not zero, at norm 1."""
    exact = unit(vectors)
    return np.asarray(exact[np.isfinite(exact).all(axis=1)])


def _joined(embedded: Sequence[Embedded]) -> Embedded:
    names = embedded[0].by_modality
    alone = {name: np.concatenate([one.by_modality[name] for one in embedded]) for name in names}
    return Embedded(np.concatenate([one.fused for one in embedded]), alone, float("nan"))
