"""What of a question goes along to another table: places, areas and times do.

What one table alone knows stays behind: its prototypes, planes, marks and, beside another model, vectors.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from indexer.errors import QueryError
from indexer.geo.cells import cell_to_text, centres, parent, parse_cell, resolution_of
from indexer.search.filter import Filter
from indexer.search.query import Cell, LonLat, Query, resolve
from indexer.search.words import COLUMNS
from indexer.table.embedding_table import EmbeddingTable

from .brought import is_upload
from .cached import read_cells
from .coordinates import parse_lonlat
from .question import PROTOTYPE
from .shapes import PLANE, is_shape, region_of
from .typed_place import write_lonlat
from .url_state import View
from .words import WORDS

OF_ONE_TABLE = "prototypes and shapes on a plane belong to their table"
OF_ANOTHER_MODEL = "vectors of another model cannot be compared"
NO_CELL = "there is no cell of it there"
LONE = "nothing is left to look for beside it"


def carry(view: View, name: str, to: EmbeddingTable, digest: str) -> tuple[View, str]:
    """A view on another table, and a line on what had to stay behind; "" where nothing had.

    Args:
        view: of the table before.
        name: of the table to go to, as links have it.
        to: that table.
        digest: of the model that made the vectors of the table before.
    """
    left = Counter[str]()
    like, unlike = (_places(places, to, digest, left) for places in (view.like, view.unlike))
    if view.like and not like:  # alone, what to keep away from would ask something else
        left.update([LONE] * len(unlike))
        unlike = ()
    told = [f"{count} example{'s' * (count > 1)} ({reason})" for reason, count in left.items()]
    held = {"embedding", *to.manifest.optional}
    using, against = (word if COLUMNS[word] in held else "fused" for word in (view.using, view.against))
    if (using, against) != (view.using, view.against):
        told.append("vectors of one sensor (it has none)")
    if view.marks:
        told.append("the marks (they are labels of the other table)")
    cells = tuple(dict.fromkeys(_no_finer(cell, to) for cell in view.cells))
    carried = replace(
        view, table=name, like=like, unlike=unlike, using=using, against=against, cells=cells, marks="",
        area="", prototype="", labels="", before="", after="", seen="", picked="",
    )  # fmt: skip
    return carried, f"Not taken along to {name}: {'; '.join(told)}." if told else ""


def _places(places: Sequence[str], to: EmbeddingTable, digest: str, left: Counter[str]) -> tuple[str, ...]:
    """Those that mean something there, as they are called there; why others do not is counted."""
    there: dict[str, str] = {}
    for place in dict.fromkeys(places):
        try:
            there[place] = _place(place, to, digest)
        except QueryError as error:
            left[str(error)] += 1
    return tuple(there[place] for place in places if place in there)


def _place(place: str, to: EmbeddingTable, digest: str) -> str:
    """Raises `QueryError` for one that means nothing there."""
    if place.startswith((PROTOTYPE, PLANE)):
        raise QueryError(OF_ONE_TABLE)
    if is_upload(place) or place.startswith(WORDS):
        if to.model.digest != digest:
            raise QueryError(OF_ANOTHER_MODEL)
        return place
    if is_shape(place):
        if not len(region_of(place).rows(read_cells(to).cell).rows()):
            raise QueryError(NO_CELL)
        return place
    return _on_earth(place, to)


def _on_earth(place: str, to: EmbeddingTable) -> str:
    """A cell or `lon,lat`; of a coarser cell its middle."""
    lonlat = parse_lonlat(place)
    if lonlat is None and resolution_of(parse_cell(place)) >= to.h3_resolution:
        there = _no_finer(place, to)
        example: Cell | LonLat = Cell(parse_cell(there))
    else:
        lon, lat = (lonlat.lon_deg, lonlat.lat_deg) if lonlat else _middle(place)
        there, example = write_lonlat(lon, lat), LonLat(lon, lat)
    try:
        resolve(to, Query([example]), Filter())
    except QueryError:
        raise QueryError(NO_CELL) from None
    return there


def _middle(cell: str) -> tuple[float, float]:
    lon, lat = centres([parse_cell(cell)])
    return float(lon[0]), float(lat[0])


def _no_finer(cell: str, to: EmbeddingTable) -> str:
    """A cell by its hex id, or the one of the table's resolution that holds it."""
    number = parse_cell(cell)
    return cell_to_text(parent(number, min(resolution_of(number), to.h3_resolution)))
