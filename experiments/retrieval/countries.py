"""Which country a place lies in, and folds that hold whole countries out.

Outlines are Natural Earth's at 1:110 million (public domain), as pyogrio's wheel ships them. Coasts are
coarse: a place within NEAR_DEG of one country's outline counts as that country's.
"""

from functools import lru_cache
from importlib.resources import files

import numpy as np
import shapely

from data.sample import InputError

from .blocks import far_from
from .problem import Fold, Problem

OUTLINES = "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"
NEAR_DEG = 0.5
LEAST_ROWS = 30  # of a fold, asked and to find
LEAST_CLASSES = 2  # that a country shares with the others


def country_of(lon_deg: np.ndarray, lat_deg: np.ndarray) -> np.ndarray:
    """(n,) names; "" at sea, or where the position is not known."""
    names, outlines = _outlines()
    points = shapely.points(np.nan_to_num(lon_deg), np.nan_to_num(lat_deg))
    known = np.isfinite(lon_deg) & np.isfinite(lat_deg)
    tree = shapely.STRtree(outlines)
    country = np.full(len(points), "", dtype=object)
    point, outline = tree.query_nearest(points[known], max_distance=NEAR_DEG, all_matches=False)
    country[np.flatnonzero(known)[point]] = names[outline]
    return country.astype(str)


@lru_cache(maxsize=1)
def _outlines() -> tuple[np.ndarray, np.ndarray]:
    """Names and polygons. Raises InputError without pyogrio."""
    try:
        from pyogrio.raw import read
    except ImportError as error:
        raise InputError(
            "--hold-out country takes outlines from pyogrio: pip install -e '.[eval]'"
        ) from error
    path = files("pyogrio").joinpath(OUTLINES)
    if not path.is_file():
        raise InputError(f"this pyogrio ships no outlines of countries: expected {OUTLINES} in it")
    meta, _, outlines, columns = read(str(path), columns=["name"])
    assert list(meta["fields"]) == ["name"], meta["fields"]
    return np.asarray(columns[0], dtype=object), shapely.from_wkb(outlines)


def hold_out_countries(problem: Problem, asked: np.ndarray, shown: np.ndarray) -> Problem:
    """The same rows, each country's asked rows looked for among the shown rows of all others.

    Args:
        problem: its folds are replaced.
        asked, shown: (n,) bool: rows that may be queries, and rows that may be found.

    Raises:
        InputError: no country leaves a fold; says for each why.
    """
    country = country_of(problem.lon_deg, problem.lat_deg)
    folds, notes, refused = [], [], []
    for name in sorted(set(country.tolist()) - {""}):
        query, others = asked & (country == name), shown & (country != name) & (country != "")
        others &= far_from(problem.lon_deg, problem.lat_deg, query) if query.any() else others
        shared = int((problem.labels[query].any(axis=0) & problem.labels[others].any(axis=0)).sum())
        size = f"{name}: {int(query.sum())} asked, {int(others.sum())} to find, {shared} classes shared"
        if min(query.sum(), others.sum()) < LEAST_ROWS or shared < LEAST_CLASSES:
            refused.append(size)
            continue
        folds.append(Fold(np.flatnonzero(query), np.flatnonzero(others)))
        notes.append(size)
    if not folds:
        raise InputError(
            f"{problem.name}: no country can be held out ({'; '.join(refused) or 'no place lies in one'}); "
            f"expected {LEAST_ROWS} rows on both sides and {LEAST_CLASSES} classes in common."
        )
    notes = ["countries held out, " + "; ".join(notes)]
    if refused:
        notes.append("countries not asked: " + "; ".join(refused))
    if nowhere := int((country == "").sum()):
        notes.append(f"{nowhere} rows lie in no country and are left out")
    return Problem(
        problem.name, problem.labels, problem.classes, problem.block, problem.lon_deg, problem.lat_deg,
        tuple(folds), (*problem.notes, *notes),
    )  # fmt: skip
