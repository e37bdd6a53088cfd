"""Manifests that somebody changed, under right digests: an error that names what is odd, never other rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import TableError
from indexer.table import manifest
from indexer.table.embedding_table import EmbeddingTable

from ..small_tables import place_table, whole

Document = dict[str, Any]


def fewer_rows(document: Document) -> None:
    document["files"][0]["rows"] -= 1
    document["row_count"] -= 1


def set_file(name: str, value: Any) -> Callable[[Document], None]:
    return lambda document: document["files"][0].update({name: value})


def set_field(name: str, value: Any) -> Callable[[Document], None]:
    return lambda document: document.update({name: value})


ODD: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a path out of the table": (set_file("path", "../secret/part.parquet"), "is no path in a table"),
    "an absolute path": (set_file("path", "/etc/hostname"), "is no path in a table"),
    "a file left out": (lambda d: d["files"].pop(), r"\d+ rows in its parts, 60 in all"),
    "a file twice": (lambda d: d["files"].append(d["files"][0]), r"\d+ rows in its parts, 60 in all"),
    "rows as text": (set_file("rows", "7"), r"files\[0\].rows is '7', expected int"),
    "a part of no rows": (set_file("rows", 0), "a part is empty"),
    "a part that ends before it begins": (
        lambda d: d["files"][0].update(min_h3=d["files"][0]["max_h3"], max_h3=d["files"][0]["min_h3"]),
        "cells of its parts are none of 9",
    ),
    "a part of no bytes": (set_file("bytes", 0), "a part is empty"),
    "no cell": (set_file("min_h3", "xyz"), r"files\[0\].min_h3 is 'xyz', expected int"),
    "a cell of another resolution": (
        set_file("min_h3", "811fbffffffffff"),
        "cells of its parts are none of 9",
    ),
    "a day for a moment": (set_field("committed", "2024-01-01"), "are not moments in UTC"),
    "keys that are numbers": (set_field("input_keys", [1]), r"it.input_keys\[0\] is 1, expected str"),
    "no model": (lambda d: d.pop("model"), "it has no field model"),
    "a model of no dimension": (lambda d: d["model"].update(dimension=0), "dimensions .* cannot be"),
    "a model of a million": (lambda d: d["model"].update(dimension=2**20 + 1), "dimensions .* cannot be"),
    "a resolution of 16": (set_field("h3_resolution", 16), "H3 resolution 16 cannot be"),
    "partitions finer than the rows": (set_field("partition_resolution", 10), "H3 resolution 9 cannot be"),
    "partitions below none": (set_field("partition_resolution", -1), "H3 resolution 9 cannot be"),
    "rows of a snapshot to come": (set_field("rows_snapshot", 3), "rows of snapshot 3 cannot be"),
    "rows of no snapshot": (set_field("rows_snapshot", 0), "rows of snapshot 0 cannot be"),
    "an hour of another zone": (
        set_field("committed", "2024-01-01T00:00:00+01:00"),
        "are not moments in UTC",
    ),
    "no moment": (set_field("committed", "soon"), "are not moments in UTC"),
    "a hidden path": (set_file("path", "rows/.part.parquet"), "is no path in a table"),
    "a path without a folder": (set_file("path", "part.parquet"), "is no path in a table"),
    "a cell of too many digits": (set_file("min_h3", "0" * 17), r"files\[0\].min_h3 is '0+', expected int"),
    "an optional vector of no dimension": (
        set_field("optional", {"embedding_s1": 0}),
        "dimensions .* cannot be",
    ),
    "an unknown type of column": (set_field("extra", {"x": "object"}), "no column can be of type"),
    "files that are none": (set_field("files", [None]), r"files\[0\] is None"),
}
AT_READING: dict[str, tuple[Callable[[Document], Any], str]] = {
    "fewer rows": (fewer_rows, "its rows or cells are not those that the manifest says"),
    "another column": (lambda d: d["optional"].clear(), "its columns are not those of the table"),
    "another dimension": (lambda d: d["model"].update(dimension=9), "its columns are not those of the table"),
}


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return place_table(tmp_path, n=30)


def change(table: EmbeddingTable, how: Callable[[Document], Any]) -> None:
    path = table.path / manifest.manifest_path(table.snapshot)
    document = json.loads(path.read_bytes())
    del document["sha256"]
    how(document)
    path.write_text(json.dumps(document | {"sha256": manifest._digest(document)}))


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_is_named(table: EmbeddingTable, kind: str) -> None:
    how, message = ODD[kind]
    change(table, how)
    with pytest.raises(TableError, match=message):
        EmbeddingTable.open(table.path)


@pytest.mark.parametrize("kind", AT_READING)
def test_a_part_is_what_its_manifest_says_or_is_not_read(table: EmbeddingTable, kind: str) -> None:
    how, message = AT_READING[kind]
    change(table, how)
    changed = EmbeddingTable.open(table.path)
    with pytest.raises(TableError, match=message):
        whole(changed)
    with pytest.raises(TableError, match=message):
        changed.take([0], [0])


def test_what_a_later_version_adds_is_no_fault(table: EmbeddingTable) -> None:
    expected = whole(table)
    change(table, lambda document: document.update({"later": [1], "model": {**document["model"], "more": 1}}))
    assert whole(EmbeddingTable.open(table.path)) == expected
