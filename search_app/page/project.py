"""A project file: a question with all that it needs, and others that were saved, to go on elsewhere.

It is JSON whose fields have types, and nothing in it is run: links are read as the page reads its own, marks
become a set of labels, and an SQL condition waits until somebody agrees to it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely

from indexer.errors import QueryError
from indexer.geo.cells import cell_to_text, parse_cell
from indexer.geo.geojson import whole_area
from indexer.labels.store import newest_version, read_labels
from indexer.table.embedding_table import EmbeddingTable
from indexer.typed import OddFieldError, typed

from .brought import Brought, bring, check_size, find_brought, is_upload
from .label_place import keep, place_of
from .url_state import View, read_view

MOST_SAVED = 1000
Link = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Saved:
    """A view under a name, as the parameters of its link."""

    name: str
    link: Link


@dataclass(frozen=True)
class Upload:
    """What somebody brought: a vector or an area, and what links call it."""

    place: str
    name: str
    vector: tuple[float, ...] | None = None
    sensors: tuple[str, ...] = ()
    area: Mapping[str, Any] | None = None  # GeoJSON


@dataclass(frozen=True)
class MarkSet:
    """Marks that teach a question, and what its link calls them."""

    marks: str  # SET/VERSION
    labels: Mapping[str, str]  # by the cell's hex id


@dataclass(frozen=True)
class Project:
    """All of it."""

    skyhex_project: Literal[1]
    table: str  # what its folder was called
    model: str  # digest of what made its vectors
    snapshot: int
    question: Link
    saved: tuple[Saved, ...] = ()
    uploads: tuple[Upload, ...] = ()
    marks: tuple[MarkSet, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A project on a table of one's own."""

    view: View
    saved: Mapping[str, View]
    notes: Sequence[str]


def write_project(table: EmbeddingTable, view: View, saved: Mapping[str, View]) -> bytes:
    """The file. Raises `QueryError` for an upload, and `TableError` for marks, that are no longer here."""
    views = [view, *saved.values()]
    places = {place for one in views for place in (*one.like, *one.unlike, one.within) if is_upload(place)}
    project = Project(
        1,
        Path(table.storage.root).name,
        table.model.digest,
        table.snapshot,
        _link(view),
        tuple(Saved(name, _link(one)) for name, one in saved.items()),
        tuple(_upload(place, find_brought(place)) for place in sorted(places)),
        tuple(_mark_set(table, marks) for marks in sorted({one.marks for one in views} - {""})),
    )
    return json.dumps(asdict(project), indent=1, allow_nan=False).encode()


def read_project(name: str, content: bytes) -> Project:
    """A file's content. Raises `QueryError` for what is no project file."""
    check_size(name, content)
    try:
        project = typed(Project, json.loads(content), "the project")
    except (OddFieldError, ValueError, RecursionError) as error:
        raise QueryError(f"{name} is no project file: {error}") from error
    if len(project.saved) > MOST_SAVED:
        raise QueryError(f"{name} has {len(project.saved):,} questions: expected {MOST_SAVED:,} at most")
    return project


def open_project(table: EmbeddingTable, project: Project, name: str = "") -> Opened:
    """What a project asks, of this table; what was brought is here then, and its marks are labels.

    `name`: of the table, as links have it.

    Raises:
        QueryError: its vectors are of another model, or something in it cannot be used.
        TableError: labels cannot be read.
    """
    if project.model != table.model.digest:
        raise QueryError(
            f"the project is of {project.table!r}, whose vectors another model made ({project.model[:12]}, "
            f"here {table.model.digest[:12]}): open it with a table of that model"
        )
    here = {upload.place: bring(_brought(upload)) for upload in project.uploads}
    here |= {one.marks: _kept(table, one) for one in project.marks}
    notes = []
    if project.snapshot != table.snapshot:
        notes.append(
            f"The project was made on snapshot {project.snapshot}, this is snapshot {table.snapshot}: "
            "answers may differ."
        )
    view, problems = _view(project.question, here, name)
    notes += problems
    saved = {}
    for one in project.saved:
        saved[one.name], problems = _view(one.link, here, name)
        notes += problems
    return Opened(view, saved, notes)


def _link(view: View) -> Link:
    params = view.to_params()
    return {name: (value,) if isinstance(value, str) else tuple(value) for name, value in params.items()}


def _view(link: Link, here: Mapping[str, str], table: str) -> tuple[View, list[str]]:
    """A link's view, with uploads and marks as they are called here."""
    view, problems = read_view(link)
    like, unlike = (tuple(here.get(place, place) for place in places) for places in (view.like, view.unlike))
    within, marks = (here.get(name, name) for name in (view.within, view.marks))
    return replace(view, table=table, like=like, unlike=unlike, within=within, marks=marks), problems


def _upload(place: str, brought: Brought) -> Upload:
    if brought.vector is not None:
        return Upload(place, brought.name, tuple(map(float, brought.vector)), tuple(brought.sensors))
    assert brought.area is not None
    return Upload(place, brought.name, area=shapely.geometry.mapping(brought.area))


def _brought(upload: Upload) -> Brought:
    if upload.vector is not None:
        return Brought(upload.name, np.array(upload.vector, np.float32), upload.sensors)
    if upload.area is None:
        raise QueryError(f"the project's upload {upload.name!r} has neither a vector nor an area")
    return Brought(upload.name, area=whole_area(upload.area))


def _mark_set(table: EmbeddingTable, marks: str) -> MarkSet:
    name, _, version = marks.partition("/")
    return MarkSet(marks, _labels(read_labels(place_of(table), name, int(version)).to_pylist()))


def _labels(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {cell_to_text(row["h3_cell"]): row["label"] for row in rows}


def _kept(table: EmbeddingTable, marks: MarkSet) -> str:
    """What the marks are called here: as there where they are the same, else a set of their own."""
    name, _, version = marks.marks.partition("/")
    place = place_of(table)
    newest = newest_version(place, name)
    known = version.isdecimal() and 0 < int(version) <= newest
    if known and _labels(read_labels(place, name, int(version)).to_pylist()) == marks.labels:
        return marks.marks
    if newest:
        name = f"{name}-opened-{newest}"
    if not keep(table, name, {parse_cell(cell): label for cell, label in marks.labels.items()}):
        return ""  # said where labels are kept
    return f"{name}/{newest_version(place_of(table), name)}"
