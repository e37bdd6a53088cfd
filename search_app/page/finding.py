"""What a view's question finds: asked once, whoever wants the answer: the page or its map."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError
from indexer.geo.search_area import Region
from indexer.labels.feedback import feedback, marks_of
from indexer.labels.store import read_labels
from indexer.search.query import Query, Resolved
from indexer.search.search import COLUMNS, search
from indexer.search.words import column_of
from indexer.table.columns import has_direction, to_matrix
from indexer.table.embedding_table import EmbeddingTable
from pipeline.on_device.searcher import kept_on_device

from ..page_settings import page_settings
from .cached import BY_SNAPSHOT, read_cells, read_keys, read_kinds, read_vectors
from .label_place import place_of
from .plane import mean_inside
from .question import Lookup, to_diversity, to_query, to_search_filter
from .results import rows_by_key
from .url_state import View
from .words import words_vector

COLUMNS_SHOWN = (*COLUMNS, "geometry")


@dataclass(frozen=True)
class Answer:
    """The answer to a view's question."""

    rows: pa.Table  # of the hits, with footprints
    plan: str
    notes: tuple[str, ...]
    examples: pa.Table  # rows that the query was made from
    query: Query  # what was asked
    vectors: np.ndarray  # (m, d) float64, what was compared
    all_of: bool  # a cell counts for the one that it is least like; else most like
    column: str  # of the vectors that they were compared with
    ask: pa.Table | None = None  # of a question that marks teach: the rows to mark next
    marks: Mapping[int, bool] = field(default_factory=dict)  # that taught it


@st.cache_data(max_entries=32, ttl=60, show_spinner="Searching", hash_funcs=BY_SNAPSHOT)
def find(table: EmbeddingTable, question: View) -> Answer | None:
    """Search for what the view looks for; None when it looks for nothing. Raises `QueryError`."""
    kinds, filter = read_kinds(table), to_search_filter(question)
    prototypes = kinds.prototypes if kinds else None
    means = partial(mean_within, table), partial(words_vector, table), partial(mean_inside, table)
    query = to_query(question, Lookup(prototypes, *means))
    if query is None:
        return None
    if question.marks:
        return _find_taught(table, question, query)
    device = page_settings().device
    hits = search(
        table,
        query,
        k=question.k,
        filter=filter,
        diversity=to_diversity(question),
        columns=COLUMNS_SHOWN,
        crew=kept_on_device(device) if device else None,
    )
    assert hits.query is not None
    compared = hits.query
    return Answer(
        hits.rows,
        hits.plan,
        hits.notes,
        _examples(table, compared),
        query,
        compared.vectors,
        compared.all_of,
        compared.column,
    )


def _find_taught(table: EmbeddingTable, question: View, query: Query) -> Answer:
    """What marks make of a question; those of cells that the table no longer has wait for better days."""
    name, _, version = question.marks.partition("/")
    kept = marks_of(read_labels(place_of(table), name, int(version)))
    cells = read_cells(table).cell
    marks = {cell: is_right for cell, is_right in kept.items() if cell in cells}
    taught = feedback(
        table,
        query,
        marks,
        by=question.rule,
        k=question.k,
        apart_km=question.apart_km,
        filter=to_search_filter(question),
        diversity=to_diversity(question),
        columns=COLUMNS_SHOWN,
    )
    gone = len(kept) - len(marks)
    notes = [f"{gone} marked cells are not in this table: their marks are kept"] if gone else []
    asked = taught.taught.question
    return Answer(
        taught.hits.rows,
        f"{taught.hits.plan}, taught by {len(marks)} marks",
        (*notes, *taught.hits.notes),
        _examples(table, asked),
        query,
        taught.taught.vector[None],
        False,
        asked.column,
        taught.ask,
        marks,
    )


def _examples(table: EmbeddingTable, compared: Resolved) -> pa.Table:
    return rows_by_key(table, sorted(compared.own_rows))


def mean_within(table: EmbeddingTable, region: Region, using: str) -> np.ndarray:
    """The mean vector (d,) of all rows whose cell has its centre in a region. Raises `QueryError`."""
    column = column_of(using)
    keys, vectors = read_keys(table), read_vectors(table, column)
    rows = region.rows(keys.cells).rows()
    if not len(rows):
        raise QueryError("the shape holds no row of the table: draw it around some cells")
    if vectors is not None:
        inside = vectors.matrix.whole()[rows]
    else:
        cells = np.unique(keys.cells[rows]).tolist()
        inside = np.concatenate([to_matrix(b[column]) for b in table.scan([column], cells=cells)])
    inside = inside[has_direction(inside)]
    if not len(inside):
        raise QueryError(f"no row in the shape has {using} vectors: draw it around others")
    return np.asarray(inside.mean(axis=0, dtype=np.float32))
