"""Does a vector know what it should not: the place, the sensor, the month?"""

from dataclasses import dataclass

import numpy as np

from .blocks import Interval, Scores, bootstrap
from .embedding import Embedded
from .metrics import partner_rank
from .neighbours import unit
from .problem import Problem
from .protocols import finite_rows

NEIGHBOURS = 10
LEAST_ROWS = 20  # with every sensor, that a check is made on


@dataclass(frozen=True)
class Finding:
    """One line of the leakage table."""

    check: str
    ours: Interval
    floor: float  # what vectors that know nothing of it would have


def sensor_findings(problem: Problem, ours: Embedded, place: np.ndarray, seed: int) -> tuple[Finding, ...]:
    """Is a place found by another subset of its sensors, and do neighbours share the query's subset?

    Args:
        problem: its queries are looked at, those with every sensor that any of them has.
        ours: vectors of all its rows.
        place: (n,) rows that share this are never each other's neighbours.
        seed: of the subsets that rows are seen by.
    """
    rows = problem.queries
    subsets = {name: v for name, v in ours.by_modality.items() if np.isfinite(v[rows]).any()}
    if len(subsets) < 2:
        return ()
    rows = rows[finite_rows(*(v[rows] for v in subsets.values()))]
    if len(rows) <= LEAST_ROWS:
        return ()
    fused, block = ours.fused[rows], problem.block[rows]
    alone = {name: vectors[rows] for name, vectors in subsets.items()}
    findings = [
        Finding(
            f"same place, all sensors -> {name}, recall@{NEIGHBOURS}",
            same_place_recall(fused, vectors, block),
            NEIGHBOURS / len(rows),
        )
        for name, vectors in alone.items()
    ]
    mixed, code = mixed_subsets(fused, alone, seed)
    share, base = group_excess(mixed, code, place[rows], block)
    return (*findings, Finding("neighbours of the query's sensor subset", share, base))


def same_place_recall(seen: np.ndarray, other: np.ndarray, block: np.ndarray) -> Interval:
    """Share of places found among 10 hits when another subset of their sensors is shown: (n, d) twice."""
    rank = partner_rank(unit(seen) @ unit(other).T)
    return bootstrap(Scores.plain((rank <= NEIGHBOURS).astype(float), block))


def group_excess(
    vectors: np.ndarray, group: np.ndarray, apart: np.ndarray, block: np.ndarray
) -> tuple[Interval, float]:
    """Share of the 10 nearest neighbours that have the query's group, and what a random draw would have.

    Args:
        vectors: (n, d).
        group: (n,) int: sensor subset, month.
        apart: (n,) rows that share this are never each other's neighbours: place, block.
        block: (n,) spatial blocks of the interval.
    """
    z = unit(vectors)
    allowed = apart[:, None] != apart[None, :]
    same = group[:, None] == group[None, :]
    similarity = np.where(allowed, z @ z.T, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :NEIGHBOURS]
    share = np.take_along_axis(same, nearest, axis=1).mean(axis=1)
    base = (same & allowed).sum(axis=1) / np.maximum(allowed.sum(axis=1), 1)
    return bootstrap(Scores.plain(share, block)), float(base.mean())


def mixed_subsets(
    fused: np.ndarray, by_modality: dict[str, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each row seen by one subset of sensors drawn at random: vectors (n, d) and subset codes (n,) int.

    Rows must have every sensor named in `by_modality`.
    """
    subsets = np.stack([fused, *by_modality.values()])  # (subsets, n, d)
    code = np.random.default_rng(seed).integers(0, len(subsets), len(fused))
    return subsets[code, np.arange(len(fused))], code


def one_date(valid: np.ndarray, seed: int) -> np.ndarray:
    """Keep one True of each row, drawn at random: (n, T) bool -> (n, T) bool."""
    draw = np.random.default_rng(seed).random(valid.shape) * valid
    kept = np.zeros_like(valid)
    kept[np.arange(len(valid)), draw.argmax(axis=1)] = True
    return np.asarray(kept & valid)
