"""How large each class is: an estimate from a stratified check sample, with its interval.

A map has errors, so adding up its cells is no area of anything. A sample is drawn in each class of the map, a
person says what each cell is, and the map's own areas weigh the answers: the stratified estimator of Olofsson
and others, Good practices for estimating area and assessing accuracy of land change (Remote Sensing of
Environment 148, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import QueryError
from ..geo.cells import areas_km2, centres

NORMAL_95 = 1.959964  # standard deviations on either side
HECTARES = 100.0  # of a km2
FEWEST = 2  # checked cells of a class, for a variance

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class AreaEstimate:
    """Of classes (c,), in their order."""

    classes: tuple[str, ...]
    mapped_ha: Numbers  # the area of the map's cells of a class: no estimate
    area_ha: Numbers
    half_width_ha: Numbers  # of the 95 % interval
    users_accuracy: Numbers  # of what the map calls so, the share that is; NaN where it is not known
    producers_accuracy: Numbers  # of what is so, the share that the map calls so
    overall_accuracy: float

    def rows(self) -> pa.Table:
        """A row for each class."""
        return pa.table(
            {
                "label": list(self.classes),
                "area_ha": self.area_ha,
                "low_ha": np.maximum(self.area_ha - self.half_width_ha, 0),
                "high_ha": self.area_ha + self.half_width_ha,
                "mapped_ha": self.mapped_ha,
                "users_accuracy": self.users_accuracy,
                "producers_accuracy": self.producers_accuracy,
            }
        )


def check_sample(mapped: pa.Table, per_class: int = 50, seed: int = 0) -> pa.Table:
    """Cells to be looked at, so many of each class of a map, drawn without regard to confidence.

    Args:
        mapped: `h3_cell`, `label`, each cell once.
        per_class: how many, at least 2; all of a class that has fewer.
        seed: of the draw.

    Returns:
        `h3_cell`, `lon`, `lat`, an empty `reference` to be filled in, in a mixed order: the map's class is
        left out, so that who fills it in is not led by it.

    Raises:
        QueryError: fewer than 2 a class.
    """
    if per_class < FEWEST:
        raise QueryError(f"{per_class} cells a class: expected {FEWEST} or more")
    rng = np.random.default_rng(seed)
    cells, labels = mapped["h3_cell"].to_numpy(), np.array(mapped["label"].to_pylist(), str)
    drawn = [
        rng.choice(np.flatnonzero(labels == name), min(per_class, int((labels == name).sum())), replace=False)
        for name in np.unique(labels)
    ]
    rows = rng.permutation(np.concatenate([np.empty(0, np.int64), *drawn]))
    lon_deg, lat_deg = centres(cells[rows])
    empty = pa.array([""] * len(rows), pa.string())
    return pa.table({"h3_cell": cells[rows], "lon": lon_deg, "lat": lat_deg, "reference": empty})


def estimate_areas(mapped: pa.Table, checked: pa.Table) -> AreaEstimate:
    """The area of each class by the stratified estimator.

    Args:
        mapped: the whole map, `h3_cell` and `label`.
        checked: the sample, `h3_cell` and `reference`; rows without a reference are left out.

    Raises:
        QueryError: a checked cell that is not of the map, or a class of the map with fewer than two checked.
    """
    cells, labels = mapped["h3_cell"].to_numpy(), np.array(mapped["label"].to_pylist(), str)
    order = np.argsort(cells)
    said = [str(name or "").strip() for name in checked["reference"].to_pylist()]
    usable = np.array([bool(name) for name in said], bool)
    reference, asked = np.array(said, str)[usable], checked["h3_cell"].to_numpy()[usable]
    at = order[np.minimum(np.searchsorted(cells[order], asked), len(cells) - 1)] if len(cells) else asked
    if not len(asked) or not (cells[at] == asked).all():
        raise QueryError("the sample has cells that the map lacks, or none: draw it from this map")
    classes = np.unique(np.concatenate([labels, reference]))
    counts = np.zeros((len(classes), len(classes)))  # the map's class, the reference
    np.add.at(counts, (np.searchsorted(classes, labels[at]), np.searchsorted(classes, reference)), 1)
    area_ha = HECTARES * areas_km2(cells)
    of_class = np.searchsorted(classes, labels)
    mapped_ha = np.bincount(of_class, area_ha, len(classes)).astype(np.float64)
    few = [
        name for name, n, ha in zip(classes, counts.sum(axis=1), mapped_ha, strict=True) if ha and n < FEWEST
    ]
    if few:
        raise QueryError(f"{', '.join(few)}: fewer than {FEWEST} checked cells of this class of the map")
    return _estimated(tuple(classes.tolist()), mapped_ha, counts)


def _estimated(classes: tuple[str, ...], mapped_ha: Numbers, counts: Numbers) -> AreaEstimate:
    """Of areas (c,) of the map's classes, and counts (c, c) of their checked cells by reference."""
    whole_ha, n = mapped_ha.sum(), counts.sum(axis=1, keepdims=True)  # n: (c, 1)
    weight = (mapped_ha / whole_ha)[:, None]  # (c, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(n > 0, counts / n, 0)  # of a class of the map, that are each reference
        variance = np.where(n > 1, weight**2 * share * (1 - share) / (n - 1), 0).sum(axis=0)
        proportion = weight * share  # (c, c), of the whole area
        users = np.where(n[:, 0] > 0, np.diag(share), np.nan)
        producers = np.diag(proportion) / proportion.sum(axis=0)
    return AreaEstimate(
        classes=classes,
        mapped_ha=mapped_ha,
        area_ha=whole_ha * proportion.sum(axis=0),
        half_width_ha=NORMAL_95 * whole_ha * np.sqrt(variance),
        users_accuracy=users,
        producers_accuracy=producers,
        overall_accuracy=float(np.trace(proportion)),
    )
