"""Files and texts that people bring, read: images, vectors, areas, and many places at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from data.sample import InputError
from indexer.area_files import parse_geojson
from indexer.errors import QueryError
from indexer.geo.cells import Cells
from indexer.geo.geojson import cut_at_antimeridian, read_polygons
from indexer.table.embedding_table import EmbeddingTable
from pipeline.examples import TIFF, chip_contents, vector_content

from .brought import Brought, bring, check_size
from .question import PROTOTYPE
from .typed_place import read_typed
from .words import FOLDER, WEIGHTS

MOST_PLACES = 256  # of a question
MOST_CORNERS = 100_000  # of an area
SHOWN_PROBLEMS = 3
TYPES = ("tif", "tiff", "npy", "json", "geojson")
SENSORS = {"hr": "aerial imagery (HR)", "s2": "Sentinel-2 (S2)", "s1": "Sentinel-1 radar (S1)"}


@dataclass(frozen=True)
class Taken:
    """What an upload became: examples, or an area to look in; and what to tell of it."""

    examples: Sequence[str] = ()
    within: str = ""
    note: str = ""


def read_upload(table: EmbeddingTable, name: str, content: bytes) -> Taken:
    """A GeoTIFF, a vector as .npy or JSON, or an area as GeoJSON, by its content.

    Raises:
        QueryError: it is none of them, does not fit the table, or is too large.
    """
    check_size(name, content)
    if content.startswith(TIFF):
        return _image(table, name, content)
    if content.startswith(b"\x93NUMPY"):
        return _vectors(table, name, vector_content(content, f"{name.removesuffix('.npy')}.npy"))
    if name.lower().endswith((".json", ".geojson")):
        document = parse_geojson(content, name)
        if isinstance(document, dict):
            return _area(name, document)
        return _vectors(table, name, vector_content(content, name))
    raise QueryError(
        f"{name} is no GeoTIFF, no vector (.npy, or a list of numbers in .json) and no GeoJSON by its content"
    )


def read_places(text: str, cells: Cells) -> list[str]:
    """Places of a text, one a line or with `;` between, as a view keeps them.

    Raises:
        QueryError: some cannot be read, none is there, or they are too many.
    """
    lines = [line.strip() for line in text.replace(";", "\n").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise QueryError("expected cells or places, one a line")
    if len(lines) > MOST_PLACES:
        raise QueryError(
            f"{len(lines):,} places came, {MOST_PLACES} are taken at most: for more, search each of them "
            "with `skyhex search --queries FILE`"
        )
    places, problems = list[str](), list[str]()
    for number, line in enumerate(lines, 1):
        try:
            places.append(_place(line, cells))
        except QueryError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = f", and {len(problems) - SHOWN_PROBLEMS:,} more" if len(problems) > SHOWN_PROBLEMS else ""
        raise QueryError("; ".join(problems[:SHOWN_PROBLEMS]) + more)
    return places


def weights_of(table: EmbeddingTable) -> str:
    """The weights that images of this table's kind are embedded with. Raises `QueryError`."""
    from encoder.shipped import shipped_name  # which loads torch: an image is not brought to every page

    weights = os.environ.get(WEIGHTS) or shipped_name(table.model.name)
    if not weights:
        raise QueryError(
            f"the table was made by {table.model.name}, whose weights are not here: start the app with "
            "--weights and this table's encoder to search by image"
        )
    return weights


def _place(line: str, cells: Cells) -> str:
    if line.startswith(PROTOTYPE):
        return line
    typed = read_typed(line, cells)
    if not typed.place:
        raise QueryError(f"{line!r} is a town, which is looked at: expected a cell, or a lon and a lat")
    return typed.place


def _image(table: EmbeddingTable, name: str, content: bytes) -> Taken:
    from encoder.checkpoint import CheckpointError

    folder = Path(os.environ.get(FOLDER, "."))
    try:
        (vector,) = chip_contents(table, {name: content}, weights=weights_of(table), folder=folder)
    except (InputError, CheckpointError) as error:
        raise QueryError(str(error)) from error
    place = bring(Brought(name, np.asarray(vector.values, np.float32), tuple(vector.sensors)))
    sensors = " and ".join(SENSORS.get(sensor, sensor) for sensor in vector.sensors)
    return Taken([place], note=f"{name}: read as {sensors}.")


def _vectors(table: EmbeddingTable, name: str, values: np.ndarray) -> Taken:
    vectors = np.atleast_2d(values)
    known = {table.dimension, *table.manifest.optional.values()}
    if vectors.ndim != 2 or vectors.shape[1] not in known or not len(vectors):
        wanted = " or ".join(map(str, sorted(known)))
        raise QueryError(f"{name} has the shape {values.shape}: expected vectors of {wanted} numbers")
    if len(vectors) > MOST_PLACES:
        raise QueryError(f"{name} has {len(vectors):,} vectors: {MOST_PLACES} are taken at most")
    if not np.isfinite(vectors).all():
        raise QueryError(f"{name} has numbers that are not finite")
    named = [name] if len(vectors) == 1 else [f"{name} {number}" for number in range(1, len(vectors) + 1)]
    return Taken([bring(Brought(one, vector)) for one, vector in zip(named, vectors, strict=True)])


def _area(name: str, document: dict[str, object]) -> Taken:
    try:
        polygons = read_polygons(document)
    except QueryError as error:
        raise QueryError(f"{name}: {error}") from error
    corners = shapely.get_num_coordinates(polygons).sum()
    if corners > MOST_CORNERS:
        raise QueryError(
            f"{name} has {corners:,} corners: simplify it to {MOST_CORNERS:,}, as `ogr2ogr -simplify` does"
        )
    return Taken(within=bring(Brought(name, area=cut_at_antimeridian(shapely.union_all(polygons)))))
