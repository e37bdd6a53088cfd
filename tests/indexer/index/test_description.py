"""What no program of this version wrote about a segment is an error that names it, never other rows."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from indexer.index import shown
from indexer.index.description import (
    FORMAT,
    KEY_FILES,
    SAMPLE_CELLS,
    Description,
    bond,
    sample_file,
)
from indexer.index.mapped import DamagedIndexError

Document = dict[str, Any]
ROWS, D = 5, 3


def array(name: str, dtype: str, *shape: int) -> Document:
    return {"name": name, "dtype": dtype, "shape": list(shape), "block_crc32": [1]}


def document(sample: bool = True, vectors: str = "<f2") -> Document:
    """Of five rows of two parts, of which one is a piece."""
    arrays = [array(name, dtype, ROWS) for name, dtype in KEY_FILES.items()]
    arrays += [array("embedding.bin", vectors, ROWS, D), array("embedding.inverse_norm.bin", "<f4", ROWS)]
    arrays += [array(name, dtype, *((ROWS, 9) if name == shown.RECORDS else (7,)))
               for name, dtype in shown.FILES.items()]  # fmt: skip
    if sample:
        arrays += [array(SAMPLE_CELLS, "<u8", 2), array(sample_file("embedding"), vectors, 2, D)]
    point = {"kind": "all", "selectivity": 1.0, "plan": {"probes": 1, "candidates": 2, "least_slack": 0.0},
             "recall": 1.0, "milliseconds": 1.0, "exact_milliseconds": 1.0}  # fmt: skip
    return {
        "format": FORMAT,
        "columns": {"embedding": {"count": ROWS, "least": 1.0, "greatest": 1.0}},
        "parts": [["rows/a.parquet", 3], ["rows/b.parquet", 2, 0]],
        "arrays": arrays,
        "shown": {"sample_id": "string", "n_s2": "int16"},
        "inverted": {"embedding": {"sha256": "ab", "measured": [point], "centroids": ""}},
    }


def parsed(made: Document) -> Description:
    return Description.parse(json.dumps(made).encode(), "it")


@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("vectors", ["<f2", "<f4"])
def test_a_segment_with_or_without_a_sample_and_of_either_width_is_one(sample: bool, vectors: str) -> None:
    found = parsed(document(sample, vectors))
    assert sum(part[1] for part in found.parts) == ROWS
    assert len(found.arrays) == (10 if sample else 8)


def named(made: Document, name: str) -> Document:
    return next(one for one in made["arrays"] if one["name"] == name)


def point(made: Document) -> Document:
    return made["inverted"]["embedding"]["measured"][0]  # type: ignore[no-any-return]


ODD: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a part without rows": (lambda d: d["parts"].append(["rows/c.parquet", 0]), "a part is empty"),
    "a piece before the first row": (lambda d: d["parts"][1].__setitem__(2, -1), "a row before the first"),
    "more rows": (lambda d: d["parts"][0].__setitem__(1, 4), "not 6 rows in each"),
    "an array too few": (lambda d: d["arrays"].pop(0), "arrays "),
    "an array too many": (lambda d: d["arrays"].append(array("more.bin", "<f2", ROWS)), "arrays "),
    "half a sample": (lambda d: d["arrays"].pop(), "arrays "),
    "another type": (lambda d: named(d, "embedding.bin").update(dtype="<f8"), "arrays "),
    "wide norms": (lambda d: named(d, "embedding.inverse_norm.bin").update(dtype="<f8"), "arrays "),
    "a column of no kind": (lambda d: d["shown"].update(x="object"), "columns shown as"),
    "an inverted file of another column": (
        lambda d: d["inverted"].update(other=d["inverted"]["embedding"]),
        "inverted files of",
    ),
    "a name that is a path": (
        lambda d: d["inverted"].update({"../x": d["inverted"]["embedding"]}),
        "names that are paths",
    ),
    "a vector of no dimension": (lambda d: named(d, "embedding.bin")["shape"].pop(), "shapes "),
    "a key of two": (lambda d: named(d, "h3_cell.bin")["shape"].append(2), "shapes "),
    "a column shorter": (lambda d: named(d, "start_us.bin").update(shape=[4]), "not 5 rows in each"),
    "records of fewer rows": (
        lambda d: named(d, shown.RECORDS).update(shape=[4, 9]),
        "not 5 rows in each",
    ),
    "samples of two sizes": (lambda d: named(d, SAMPLE_CELLS).update(shape=[3]), r"samples of \[2, 3\] rows"),
    "a size below zero": (lambda d: named(d, shown.TEXTS).update(shape=[-1]), "a shape below zero"),
    "a share of nothing": (lambda d: point(d).update(selectivity=0.0), "a share of rows that cannot be"),
    "a share above all": (lambda d: point(d).update(selectivity=1.1), "a share of rows that cannot be"),
    "lists below none": (lambda d: point(d)["plan"].update(probes=-1), "a plan that cannot be"),
    "candidates below none": (lambda d: point(d)["plan"].update(candidates=-1), "a plan that cannot be"),
    "no parts": (lambda d: d.pop("parts"), "no field parts"),
    "another format": (lambda d: d.update(format="skyhex-segment-5"), "has format 'skyhex-segment-5'"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_is_named(kind: str) -> None:
    how, message = ODD[kind]
    made = document()
    how(made)
    with pytest.raises(DamagedIndexError, match=message):
        parsed(made)


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_description_is_said(content: bytes) -> None:
    with pytest.raises(DamagedIndexError, match=r"it has format None|it does not describe a segment"):
        Description.parse(content, "it")


def test_texts_and_lists_have_any_number() -> None:
    made = document()
    named(made, shown.TEXTS)["shape"] = [0]
    named(made, shown.LISTS)["shape"] = [ROWS + 9]
    point(made).update(selectivity=1e-4)
    point(made)["plan"].update(probes=0, candidates=0)
    assert parsed(made).inverted["embedding"].measured[0].selectivity == 1e-4


def test_checksums_are_bound_to_name_and_parts() -> None:
    found = parsed(document())
    assert found.bond("a.bin") == bond(found.parts, "a.bin")
    bonds = {bond(parts, name) for parts in ([("a", 1)], [("a", 2)], [("a", 1, 0)], []) for name in "xy"}
    assert len(bonds) == 8
