"""Classes as the map shows them: those that people gave, and those of a classifier that they taught."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import streamlit as st

from indexer.errors import QueryError
from indexer.labels.classifier import Fit, apply_classifier, fit_classifier
from indexer.labels.store import read_labels
from indexer.search.filter import Filter
from indexer.table.embedding_table import EmbeddingTable

from .cached import BY_SNAPSHOT, read_cells
from .label_place import place_of
from .map_bytes import kind_codes, similarity_codes
from .question import to_filter
from .url_state import View


@dataclass(frozen=True)
class Lesson:
    """What a classifier is taught with: a version of a set of labels, and the rows that they are of."""

    name: str
    version: int
    blocks: int  # H3 resolution of what is left out together
    start: date | None = None  # rows whose period meets [start, end)
    end: date | None = None

    def address(self, asks: str, at: str) -> str:
        """As an address's query, which asks for `classes` or `confidence` of labels that lie somewhere."""
        days = {name: day for name, day in (("start", self.start), ("end", self.end)) if day}
        return urlencode({asks: f"{self.name}/{self.version}/{self.blocks}", "at": at, **days})

    @staticmethod
    def read(params: Mapping[str, str], asks: str) -> "Lesson":
        """From an address. Raises `QueryError`."""
        try:
            name, version, blocks = params[asks].split("/")
            days = (date.fromisoformat(params[day]) if day in params else None for day in ("start", "end"))
            return Lesson(name, int(version), int(blocks), *days)
        except ValueError:
            raise QueryError(f"{asks}={params[asks]!r}: expected SET/VERSION/BLOCKS, and days") from None

    @property
    def filter(self) -> Filter:
        """The rows that the labels are of."""
        return to_filter(View(start=self.start, end=self.end))


@dataclass(frozen=True)
class Taught:
    """A classifier, how it did, and its map."""

    fit: Fit
    mapped: pa.Table  # `h3_cell`, `label`, `confidence`, in order of cell


def class_names(labels: pa.Table) -> list[str]:
    """The classes of a set, in the order in which each came first: a new one leaves the others' colours."""
    first: dict[str, datetime] = {}
    for label, marked in zip(labels["label"].to_pylist(), labels["marked"].to_pylist(), strict=True):
        first[label] = min(first.get(label, marked), marked)
    return sorted(first, key=lambda label: (first[label], label))


def taught(table: EmbeddingTable, lesson: Lesson) -> Taught:
    """The same of the same, once. Raises `QueryError`."""
    return _taught(table, place_of(table).root, lesson)


@st.cache_resource(max_entries=4, show_spinner="Teaching a classifier", hash_funcs=BY_SNAPSHOT)
def _taught(table: EmbeddingTable, place: str, lesson: Lesson) -> Taught:
    labels = read_labels(place_of(table), lesson.name, lesson.version)
    fit = fit_classifier(table, labels, filter=lesson.filter, block_resolution=lesson.blocks)
    pieces = list(apply_classifier(fit.classifier, table, lesson.filter))
    if not pieces:
        raise QueryError("no row matches the dates: there is nothing to classify")
    return Taught(fit, pa.concat_tables(pieces))


def label_codes(table: EmbeddingTable, address: str) -> bytes:
    """One byte a cell of the table: its class in a version of a set, `SET/VERSION`. Raises `QueryError`."""
    name, _, version = address.partition("/")
    if not version.isdecimal():
        raise QueryError(f"labels={address!r}: expected SET/VERSION")
    labels = read_labels(place_of(table), name, int(version))
    return _codes(table, labels, class_names(labels))


def class_codes(table: EmbeddingTable, lesson: Lesson) -> bytes:
    """The same of a classifier's map, each class under the number that it has among the labels."""
    labels = read_labels(place_of(table), lesson.name, lesson.version)
    return _codes(table, taught(table, lesson).mapped, class_names(labels))


def confidence_codes(table: EmbeddingTable, lesson: Lesson) -> bytes:
    """Two bytes a cell of the table: how sure a classifier is."""
    mapped, cells = taught(table, lesson).mapped, read_cells(table).cell
    value = np.full(len(cells), np.nan)
    value[np.searchsorted(cells, mapped["h3_cell"].to_numpy())] = mapped["confidence"].to_numpy()
    return similarity_codes(value).tobytes()


def _codes(table: EmbeddingTable, rows: pa.Table, names: list[str]) -> bytes:
    cells, labelled = read_cells(table).cell, rows["h3_cell"].to_numpy()
    at = np.minimum(np.searchsorted(cells, labelled), len(cells) - 1)
    there = cells[at] == labelled  # a table that changed may have lost some
    number = {name: i for i, name in enumerate(names)}
    kind = np.full(len(cells), -1)
    kind[at[there]] = np.array([number[label] for label in rows["label"].to_pylist()], np.int64)[there]
    return kind_codes(kind).tobytes()
