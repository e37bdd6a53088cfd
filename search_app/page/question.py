"""What a view asks: words that people type and places of a link, as the query and the filter that they mean.

Conditions are put in the words of `skyhex.search`, and read from there as everywhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import shapely

from indexer.errors import QueryError
from indexer.geo.cells import parse_cell
from indexer.geo.geojson import cut_at_antimeridian
from indexer.prototypes.regional import Prototypes
from indexer.search.diversity import Diversity
from indexer.search.filter import Filter, Region
from indexer.search.query import Cell, LonLat, Query, Vector
from indexer.search.words import Conditions, diversity_of, filter_of, query_of

from .agreed import check_agreed
from .brought import area_of_upload, is_upload, name_of, vector_of
from .coordinates import parse_lonlat
from .shapes import PLANE, is_plane, is_shape, polygon_of, region_of
from .url_state import DIFFERING, View
from .words import WORDS

PROTOTYPE = "prototype:"
GLOBE = shapely.box(-180, -90, 180, 90)
STEP_DEG = 90.0  # an edge of more than 180 degrees would be read as one that crosses the antimeridian
FUSED_ALONE = "is made of fused vectors: compare these, or take cells and places"
_ORDER = (Cell, LonLat, Vector)  # as the command line and Python take them


@dataclass(frozen=True)
class Lookup:
    """Where the vectors of a view's places are found."""

    prototypes: Prototypes | None  # those of the table
    mean_within: Callable[[Region, str], np.ndarray]  # the mean (d,) of the rows in a region, in a column
    of_words: Callable[[str], np.ndarray]  # (d,)
    mean_on_plane: Callable[[str], np.ndarray]  # the mean (d,) of the rows in a shape on a plane


def place_label(place: str) -> str:
    """A place in few letters."""
    if place.startswith(PROTOTYPE):
        region, _, number = place.removeprefix(PROTOTYPE).partition("/")
        return f"prototype {number} of {region.rstrip('f')}"
    if is_shape(place):
        return "cells in a shape"
    if is_plane(place):
        return "rows in a shape on the plane"
    if place.startswith(WORDS):
        return f"“{place.removeprefix(WORDS)}”"
    if is_upload(place):
        return name_of(place)
    return place.replace(",", ", ")


def part_of(place: str, lookup: Lookup, using: str = "fused") -> Cell | LonLat | Vector:
    """A place, as the URL keeps it, as part of a query.

    Args:
        place: a cell, `lon,lat`, a prototype, a shape on the map or on the plane, words or an upload.
        lookup: what the others mean.
        using: the vectors that are meant, as `skyhex.search` names them.

    Raises:
        QueryError: it cannot be read, or names what is not there.
    """
    if is_upload(place):
        return vector_of(place)
    if place.startswith((PROTOTYPE, WORDS, PLANE)) and using != "fused":
        raise QueryError(f"{place_label(place)} {FUSED_ALONE}")
    if place.startswith(PROTOTYPE):
        return Vector(prototype_vector(lookup.prototypes, place.removeprefix(PROTOTYPE)))
    if is_shape(place):
        return Vector(lookup.mean_within(region_of(place), using))
    if is_plane(place):
        return Vector(lookup.mean_on_plane(place))
    if place.startswith(WORDS):
        return Vector(lookup.of_words(place.removeprefix(WORDS)))
    lonlat = parse_lonlat(place)
    if lonlat:
        return LonLat(lonlat.lon_deg, lonlat.lat_deg)
    return Cell(parse_cell(place))


def prototype_vector(prototypes: Prototypes | None, name: str) -> np.ndarray:
    """The vector (d,) of `REGION/NUMBER`. Raises `QueryError`."""
    region, _, number = name.partition("/")
    if prototypes is None:
        raise QueryError("the table has no prototypes: run `skyhex prototypes fit`")
    vectors = prototypes.of_region(parse_cell(region))
    if not number.isdecimal() or int(number) >= len(vectors):
        raise QueryError(f"region {region} has no prototype {number!r}: expected 0 to {len(vectors) - 1}")
    vector: np.ndarray = vectors[int(number)]
    return vector


def to_query(view: View, lookup: Lookup) -> Query | None:
    """What the view looks for; None where it looks for nothing. Raises `QueryError`."""
    if not (view.like or view.unlike):
        return None
    likes, unlikes = (
        sorted(
            (part_of(place, lookup, view.using) for place in places),
            key=lambda part: _ORDER.index(type(part)),
        )
        for places in (view.like, view.unlike)
    )
    return query_of(
        likes,
        unlikes,
        using=view.using,
        against=view.against,
        match=view.match,
        negative_weight=view.negative_weight,
        invert=view.invert,
    )


def to_diversity(view: View) -> Diversity | None:
    """How results must differ. Raises `QueryError`."""
    return diversity_of(**differing_of(view))


def differing_of(view: View) -> dict[str, Any]:
    """The same as words."""
    return {name: getattr(view, name) for name in DIFFERING if getattr(view, name) is not None}


def conditions_of(view: View, elsewhere: bool = False) -> Conditions:
    """Where and when the view looks, and for which rows, as `skyhex.search` takes them.

    `elsewhere`: not in shapes that are examples, for what looks like them is wanted elsewhere. Raises
    `QueryError`.
    """
    conditions: Conditions = {}
    if view.bbox:
        conditions["bbox"] = view.bbox
    area = _area(view, elsewhere)
    if area is not None:
        conditions["within"] = as_geojson(area)
    if view.near:
        conditions["near"] = view.near
    if view.cells:
        conditions["cells"] = list(view.cells)
    if view.footprint:
        conditions["footprint"] = True
    if view.start:
        conditions["start"] = view.start.isoformat()
    if view.end:
        conditions["end"] = view.end.isoformat()
    if view.months:
        conditions["months"] = list(view.months)
    if view.modalities:
        conditions["modalities"] = list(view.modalities)
    if predicate := _predicate(view):
        conditions["where"] = predicate
    return conditions


def to_filter(view: View) -> Filter:
    """Which rows may be found. Raises `QueryError`, and `HeldError` for SQL that nobody agreed to."""
    check_agreed(view.where)
    return filter_of(**conditions_of(view))


def to_search_filter(view: View) -> Filter:
    """The same without the shapes that are examples."""
    check_agreed(view.where)
    return filter_of(**conditions_of(view, elsewhere=True))


def as_geojson(area: shapely.Geometry) -> dict[str, Any]:
    """An area in degrees as a GeoJSON object that is read as the same area."""
    west, _, east, _ = area.bounds
    if west < -180 or east > 180:
        area = cut_at_antimeridian(area)
    if east - west > STEP_DEG:
        area = shapely.segmentize(area, STEP_DEG)
    mapping: dict[str, Any] = shapely.geometry.mapping(area)
    return mapping


def _area(view: View, elsewhere: bool) -> shapely.Geometry | None:
    """What the view's shape leaves of the globe, and shapes that are examples."""
    area = None
    if view.within:
        area = area_of_upload(view.within) if is_upload(view.within) else polygon_of(view.within)
    shapes = [place for place in dict.fromkeys((*view.like, *view.unlike)) if elsewhere and is_shape(place)]
    if not shapes:
        return area
    taken = reduce(shapely.union, (cut_at_antimeridian(polygon_of(shape)) for shape in shapes))
    left = (GLOBE if area is None else cut_at_antimeridian(area)) - taken
    if not left.area:
        raise QueryError("the examples fill the whole area: widen it, or drop one of them")
    return left


def _predicate(view: View) -> str:
    """Quality and SQL as one predicate."""
    parts = []
    if view.cloud is not None:
        parts.append(f"cloud_fraction <= {view.cloud:g}")
    if view.valid is not None:
        parts.append(f"valid_fraction >= {view.valid:g}")
    if not parts:
        return view.where
    if view.where:
        parts.append(f"({view.where}\n)")  # the line break ends a comment
    return " AND ".join(parts)
