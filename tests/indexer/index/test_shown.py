"""What hits show: columns come back from the mapped files as Parquet has them, and damage is found."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from indexer.index import mapped
from indexer.index.mapped import CheckedArray, DamagedIndexError
from indexer.index.shown import FILES, LISTS, TEXTS, Shown, ShownWriter, kinds_of

MOMENTS = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("h3_cell", pa.uint64(), nullable=False),  # filters look at it: it is kept elsewhere
        pa.field("embedding", pa.list_(pa.float16(), 2), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("n_s2", pa.int16(), nullable=False),
        pa.field("cloud_fraction", pa.float32()),
        pa.field("source_items", pa.list_(pa.string()), nullable=False),
        pa.field("burnt", pa.bool_()),
        pa.field("owner", pa.string()),
        pa.field("seen", MOMENTS),
        pa.field("area_m2", pa.float64()),
        pa.field("number", pa.int64()),
        pa.field("class", pa.int32()),
    ]
)
SHOWN = [name for name in SCHEMA.names if name not in ("h3_cell", "embedding")]


def some_rows(count: int, seed: int) -> pa.Table:
    """Rows with nulls, texts of no length and beyond ASCII, lists that repeat, are empty or hold nulls."""
    rng = np.random.default_rng(seed)
    texts = ["", "a", "Zürich", "日本", "x" * 300, None]
    lists = [[], [""], ["s2/a.tif"], ["s2/a.tif", "s2/b.tif"], ["s2/a.tif", None], ["é"] * 5]

    def drawn(values: list[object]) -> list[object]:
        return [
            values[i]
            for i in np.repeat(rng.integers(0, len(values), count), rng.integers(1, 4, count))[:count]
        ]

    return pa.table(
        [
            pa.array(np.arange(count), pa.uint64()),
            pa.array([[0.0, 1.0]] * count, pa.list_(pa.float16(), 2)),
            pa.array([f"place {i}" for i in range(count)]),
            pa.array(rng.integers(-5, 5, count), pa.int16()),
            pa.array(drawn([0.25, float("nan"), None]), pa.float32()),
            pa.array(drawn(list(lists)), pa.list_(pa.string())),
            pa.array(drawn([True, False, None]), pa.bool_()),
            pa.array(drawn(list(texts)), pa.string()),
            pa.array(drawn([0, -1, 1_700_000_000_000_001, None]), MOMENTS),
            pa.array(drawn([1e300, -0.0, None]), pa.float64()),
            pa.array(drawn([2**62 + 1, None]), pa.int64()),
            pa.array(drawn([7, None]), pa.int32()),
        ],
        schema=SCHEMA,
    )


def written(folder: Path, pieces: list[pa.Table]) -> Shown:
    kinds = kinds_of(SCHEMA)
    writer = ShownWriter(folder, kinds)
    for piece in pieces:
        for batch in piece.to_batches():
            writer.append(batch)
    arrays = {file.name: CheckedArray.open(folder, file) for file in writer.close()}
    return Shown.open(arrays, kinds)


def same(found: pa.Array, expected: pa.Array) -> bool:
    """Bit by bit: NaN is NaN, and null is not NaN."""
    return found.type == expected.type and repr(found.to_pylist()) == repr(expected.to_pylist())


def test_every_column_comes_back_in_the_order_asked(tmp_path: Path) -> None:
    rows = some_rows(500, seed=0)
    pieces = [rows.slice(0, 1), rows.slice(1, 250), rows.slice(251)]  # slices keep their offsets
    shown = written(tmp_path, pieces)
    asked = np.random.default_rng(1).integers(0, 500, 40)  # some of them twice
    found = shown.read(asked, SHOWN)
    taken = rows.take(pa.array(asked)).combine_chunks()
    assert sorted(found) == sorted(SHOWN)
    for name, column in found.items():
        assert same(column, taken[name].combine_chunks()), name


def test_no_rows_are_no_columns_of_another_type(tmp_path: Path) -> None:
    shown = written(tmp_path, [some_rows(3, seed=0)])
    found = shown.read(np.empty(0, np.int64), SHOWN)
    assert {name: column.type for name, column in found.items()} == {
        name: SCHEMA.field(name).type for name in SHOWN
    }
    assert not any(map(len, found.values()))


def test_lists_that_follow_each_other_stand_once(tmp_path: Path) -> None:
    rows = some_rows(1000, seed=0).set_column(
        SHOWN.index("source_items") + 2,
        SCHEMA.field("source_items"),
        pa.array([["s2/a.tif", "s2/b.tif"]] * 1000, pa.list_(pa.string())),
    )
    shown = written(tmp_path, [rows])
    assert len(shown.lists) == 3, "a count and two places"


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_an_error_and_not_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(mapped, "BLOCK_BYTES", 64)
    written(tmp_path, [some_rows(50, seed=0)])
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    kinds = kinds_of(SCHEMA)
    writer = ShownWriter(tmp_path, kinds)
    for batch in some_rows(50, seed=0).to_batches():
        writer.append(batch)
    files = writer.close()
    (tmp_path / name).write_bytes(content)
    shown = Shown.open({file.name: CheckedArray.open(tmp_path, file) for file in files}, kinds)
    with pytest.raises(DamagedIndexError, match=f"{name} is damaged at byte"):
        shown.read(np.arange(50), SHOWN)


def pointing(places: dict[str, int]) -> Shown:
    """One row whose text or list is said to begin at a place; files that are as they were written."""
    kinds = {"sample_id": "string", "source_items": "list"}
    record = np.array(
        [(places.get("text", 0), places.get("list", 0))], np.dtype([("a", "<u8"), ("b", "<u8")])
    )
    texts = np.frombuffer(b"\x02\x00\x00\x00ab\xff\xff\xff\xff", np.uint8)
    lists = np.array([0, 2**40], np.uint64)
    raw = record.view(np.uint8).reshape(1, -1)
    arrays = (
        CheckedArray(array, Path(name), (), 0, bytearray(b"\x01"))
        for array, name in zip((raw, texts, lists), FILES, strict=True)
    )
    return Shown(kinds, *arrays)


@pytest.mark.parametrize(
    ("places", "file"),
    [
        ({"text": 6}, TEXTS),
        ({"text": 2**63}, TEXTS),
        ({"text": 8}, TEXTS),
        ({"list": 1}, LISTS),
        ({"list": 2**62}, LISTS),
    ],
)
def test_a_place_outside_a_file_is_an_error(places: dict[str, int], file: str) -> None:
    sound = pointing({}).read(np.array([0]), ["sample_id", "source_items"])
    assert {name: column.to_pylist() for name, column in sound.items()} == {
        "sample_id": ["ab"],
        "source_items": [[]],
    }
    with pytest.raises(DamagedIndexError, match=f"{file}.*asked for"):
        pointing(places).read(np.array([0]), ["sample_id", "source_items"])


def test_a_record_of_another_width_is_refused(tmp_path: Path) -> None:
    shown = written(tmp_path, [some_rows(3, seed=0)])
    arrays = dict(zip(FILES, (shown.records, shown.texts, shown.lists), strict=True))
    with pytest.raises(DamagedIndexError, match="does not hold records"):
        Shown.open(arrays, {"sample_id": "string"})


def test_rows_without_texts_or_lists_have_files_all_the_same(tmp_path: Path) -> None:
    kinds = {"n_s2": "int16", "flag": "bool?"}
    writer = ShownWriter(tmp_path, kinds)
    writer.append(pa.record_batch({"n_s2": pa.array([3, 4], pa.int16()), "flag": pa.array([True, None])}))
    files = {file.name: file for file in writer.close()}
    assert {name: files[name].shape for name in (TEXTS, LISTS)} == {TEXTS: (0,), LISTS: (0,)}
    shown = Shown.open({name: CheckedArray.open(tmp_path, file) for name, file in files.items()}, kinds)
    assert len(shown.texts) == len(shown.lists) == 0
