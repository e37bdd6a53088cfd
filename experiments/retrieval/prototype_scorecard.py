"""How good are regional prototypes? Per region and pooled; no published evaluation exists.

In each region prototypes are fitted, as `skyhex prototypes fit` does, on half of the rows, and judged on
the other half's nearest prototypes: agreement with labels beside k-means of the same K on other features,
balance, stability, and what attending to them adds to a vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import h3
import numpy as np

from data.sphere import on_sphere
from indexer.prototypes import sinkhorn
from indexer.prototypes.regional import ROWS_PER_PROTOTYPE

from .blocks import Interval, Scores, bootstrap
from .neighbours import unit
from .problem import Problem
from .protocols import finite_rows, probes
from .report import Cell, Table

SEEDS = (0, 1, 2, 3, 4)
LEAST_PROTOTYPES = 2  # a region with fewer rows than these ask for is left out
REGIONS_SHOWN = 12
HARMONICS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Rows:
    """n labelled rows with everything that clusters may be made of."""

    problem: Problem
    vectors: np.ndarray  # (n, d) ours, fused
    by_modality: dict[str, np.ndarray]  # (n, d) ours, one sensor alone; NaN where absent
    statistics: np.ndarray  # (n, k) standardised
    by_year: Mapping[str, np.ndarray] = field(
        default_factory=dict
    )  # (n, d) ours, of one year alone; NaN likewise


@dataclass(frozen=True)
class Region:
    """The rows of one region: half to fit on, half to judge on."""

    cell: str
    fit_on: np.ndarray  # positions
    unseen: np.ndarray
    count: int  # prototypes at most


def regions_of(problem: Problem, resolution: int, per_region: int) -> list[Region]:
    """H3 regions with enough rows, in order of cell."""
    pairs = zip(problem.lat_deg, problem.lon_deg, strict=True)
    cell = np.array([h3.latlng_to_cell(lat, lon, resolution) for lat, lon in pairs])
    out = []
    for name in np.unique(cell):
        rows = np.random.default_rng(0).permutation(np.flatnonzero(cell == name))
        fit_on, unseen = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        count = min(per_region, len(fit_on) // ROWS_PER_PROTOTYPE)
        if count >= LEAST_PROTOTYPES:
            out.append(Region(str(name), fit_on, unseen, count))
    return out


def sinkhorn_prototypes(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Prototypes of unit vectors, as the product fits them."""
    fitted = sinkhorn.fit(vectors, count, np.random.default_rng(seed))
    return sinkhorn.pruned(fitted, vectors, ROWS_PER_PROTOTYPE)


def k_means(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Centres of Lloyd's algorithm."""
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(count, n_init=4, random_state=seed).fit(features).cluster_centers_)


def nearest(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n,) number of the nearest centre, by Euclidean distance: for unit vectors, by cosine."""
    return np.asarray(((centres**2).sum(axis=1) - 2 * features @ centres.T).argmin(axis=1))


def purity(label: np.ndarray, cluster: np.ndarray) -> float:
    """Share of rows whose label is the most frequent one of their cluster."""
    table = np.zeros((cluster.max() + 1, label.max() + 1))
    np.add.at(table, (cluster, label), 1)
    return float(table.max(axis=1).sum() / len(label))


def balance(cluster: np.ndarray, count: int) -> tuple[float, float]:
    """Entropy of the shares of `count` clusters over its maximum, and the share of clusters without a row."""
    share = np.bincount(cluster, minlength=count) / len(cluster)
    used = share[share > 0]
    return float(-(used * np.log(used)).sum() / np.log(count)) if count > 1 else 1.0, float(
        (share == 0).mean()
    )


def scorecard(
    rows: Rows, *, resolution: int, per_region: int, seed: int, protocol: str = "all"
) -> list[Table]:
    """The tables of one set; where no region has enough rows, one that says so.

    Args:
        rows: the set.
        resolution: H3, of a region.
        per_region: prototypes of a region, at most.
        seed: of fits, resampling and the probe.
        protocol: "all", "agreement", "stability" or "gain".
    """
    regions = regions_of(rows.problem, resolution, per_region)
    title = f"Prototypes of {rows.problem.name}, {len(regions)} regions of H3 resolution {resolution}"
    if not regions:
        least = 2 * LEAST_PROTOTYPES * ROWS_PER_PROTOTYPE
        return [
            Table(title, ("region",), (), f"No region has {least} rows: a coarser --region-res may have.")
        ]
    tables: list[Table] = []
    if protocol in ("all", "agreement"):
        judged = _judged(rows, regions, seed)
        tables += [_agreement(rows, regions, judged, title), _by_region(regions, judged, title)]
    if protocol in ("all", "stability"):
        tables.append(_stability(rows, regions, title))
    if protocol in ("all", "gain"):
        tables.append(_gain(rows, regions, title, seed))
    return tables


def _judged(rows: Rows, regions: Sequence[Region], seed: int) -> dict[str, list[tuple[float, ...]]]:
    """What `_judge` says by method and region; k-means has as many centres as prototypes were kept."""
    fits = [sinkhorn_prototypes(rows.vectors[r.fit_on], r.count, seed) for r in regions]
    ours = [_judge(rows, r, rows.vectors, fit) for r, fit in zip(regions, fits, strict=True)]
    place = (
        on_sphere(rows.problem.lon_deg, rows.problem.lat_deg) * 1000
    )  # a region is a small part of the sphere
    features = {"the embedding": rows.vectors, "statistics": rows.statistics, "lon/lat": place}
    beside = {
        f"k-means on {name}": [
            _judge(rows, region, of, k_means(of[region.fit_on], len(fit), seed))
            for region, fit in zip(regions, fits, strict=True)
        ]
        for name, of in features.items()
    }
    return {"prototypes (Sinkhorn)": ours, **beside}


def _judge(rows: Rows, region: Region, features: np.ndarray, centres: np.ndarray) -> tuple[float, ...]:
    """AMI, NMI, purity, entropy, dead share and K of one region's unseen rows."""
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    cluster = nearest(features[region.unseen], centres)
    label = rows.problem.code[region.unseen]
    return (
        float(adjusted_mutual_info_score(label, cluster)),
        float(normalized_mutual_info_score(label, cluster)),
        purity(label, cluster),
        *balance(cluster, len(centres)),
        float(len(centres)),
    )


def _agreement(
    rows: Rows, regions: Sequence[Region], judged: dict[str, list[tuple[float, ...]]], title: str
) -> Table:
    header = ("clusters", "AMI", "NMI", "purity", "entropy / max", "dead share", "K")
    lines: tuple[tuple[Cell, ...], ...] = tuple(
        (n, *_pooled(scores, regions)) for n, scores in judged.items()
    )
    note = "On rows that were not fitted on. Means over regions by rows, 95 % over regions. "
    return Table(
        f"{title}: agreement with labels, balance", header, lines, note + "; ".join(rows.problem.notes)
    )


def _by_region(regions: Sequence[Region], judged: dict[str, list[tuple[float, ...]]], title: str) -> Table:
    """AMI of every method in the largest regions."""
    order = sorted(range(len(regions)), key=lambda i: -len(regions[i].unseen))[:REGIONS_SHOWN]
    lines: tuple[tuple[Cell, ...], ...] = tuple(
        (regions[i].cell, float(len(regions[i].unseen)), *(scores[i][0] for scores in judged.values()))
        for i in order
    )
    return Table(f"{title}: AMI by region, the largest", ("region", "unseen rows", *judged), lines)


def _stability(rows: Rows, regions: Sequence[Region], title: str) -> Table:
    """AMI between two assignments of the same unseen rows."""
    from sklearn.metrics import adjusted_mutual_info_score

    centres = [
        [sinkhorn_prototypes(rows.vectors[r.fit_on], r.count, seed) for seed in SEEDS] for r in regions
    ]
    by_seed = []
    for region, fits in zip(regions, centres, strict=True):
        assigned = [nearest(rows.vectors[region.unseen], c) for c in fits]
        agreements = [adjusted_mutual_info_score(a, b) for i, a in enumerate(assigned) for b in assigned[:i]]
        by_seed.append((float(np.mean(agreements)),))
    lines: list[tuple[Cell, ...]] = [(f"{len(SEEDS)} seeds, pair by pair", *_pooled(by_seed, regions))]
    firsts = [fits[0] for fits in centres]
    for name, pair in _views(rows).items():
        lines += [(name, interval) for interval in _between(pair, regions, firsts)]
    note = "1 = the same clusters, 0 = chance."
    note += "" if rows.by_year else " Years: the set shows no place in the same months of two years."
    return Table(f"{title}: stability", ("between", "AMI"), tuple(lines), note)


def _views(rows: Rows) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs of vectors of the same rows: all sensors and one, a year and another."""
    present = {name: v for name, v in rows.by_modality.items() if np.isfinite(v).any()}
    alone = {f"all sensors against {name} alone": (rows.vectors, v) for name, v in present.items()}
    years = [
        (f"{one} against {other}, in the months that both have", (rows.by_year[one], rows.by_year[other]))
        for one, other in combinations(rows.by_year, 2)
    ]
    return (alone if len(alone) > 1 else {}) | dict(years)


def _between(
    pair: tuple[np.ndarray, np.ndarray], regions: Sequence[Region], centres: Sequence[np.ndarray]
) -> list[Interval]:
    """AMI of unseen rows' nearest centres by two kinds of vectors; none where no region has the rows."""
    from sklearn.metrics import adjusted_mutual_info_score

    seen = finite_rows(*pair)
    scores, kept = [], []
    for region, of_region in zip(regions, centres, strict=True):
        unseen = region.unseen[seen[region.unseen]]
        if len(unseen) > ROWS_PER_PROTOTYPE:
            both = (nearest(vectors[unseen], of_region) for vectors in pair)
            scores.append((float(adjusted_mutual_info_score(*both)),))
            kept.append(region)
    return _pooled(scores, kept) if scores else []


def _gain(rows: Rows, regions: Sequence[Region], title: str, seed: int) -> Table:
    """Linear probe of z, [z; attended prototypes] and [z; position], on rows in regions with prototypes."""
    problem, z = rows.problem, rows.vectors
    inside = np.zeros(len(z), dtype=bool)
    attended = np.zeros_like(z)
    for region in regions:
        members = np.concatenate([region.fit_on, region.unseen])
        inside[members] = True
        attended[members] = attend(z[members], sinkhorn_prototypes(z[region.fit_on], region.count, seed))
    asked = problem.asking(inside)
    if not asked.folds:
        return Table(f"{title}: gain", ("vector", "linear"), (), "No query lies in a region with prototypes.")
    place = harmonics(problem.lon_deg, problem.lat_deg)
    made = {"z": z, "[z; attended prototypes]": np.c_[z, attended], "[z; lon/lat harmonics]": np.c_[z, place]}
    scores = {name: asked.scored(probes(asked, v, ["linear"])["linear"]) for name, v in made.items()}
    lines = tuple(
        (name, bootstrap(of_probe, seed=seed), bootstrap(of_probe.minus(scores["z"]), seed=seed))
        for name, of_probe in scores.items()
    )
    note = "A gain that lon/lat gives too is knowledge of the place, not of what is there."
    return Table(f"{title}: gain", ("vector", "linear", "gain over z"), lines, note)


def attend(z: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Softmax(z P^T / epsilon) P, at norm 1, with the temperature that prototypes are fitted with."""
    scores = z @ prototypes.T / sinkhorn.EPSILON
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    return unit(weight / weight.sum(axis=1, keepdims=True) @ prototypes)


def harmonics(lon_deg: np.ndarray, lat_deg: np.ndarray) -> np.ndarray:
    """Sines and cosines of longitude and latitude at several frequencies: (n, 4 * len(HARMONICS))."""
    angles = np.radians(np.stack([lon_deg, lat_deg], axis=1))[:, :, None] * np.array(HARMONICS)
    flat = angles.reshape(len(angles), -1)
    return np.concatenate([np.sin(flat), np.cos(flat)], axis=1)


def _pooled(by_region: Sequence[Sequence[float]], regions: Sequence[Region]) -> list[Interval]:
    """Per column, the mean over regions weighed by their unseen rows."""
    weight = np.array([len(region.unseen) for region in regions], dtype=float)
    names = np.array([region.cell for region in regions])
    return [bootstrap(Scores(np.array(column), names, weight)) for column in zip(*by_region, strict=True)]
