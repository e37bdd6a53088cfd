"""Every file of a table and its index, damaged in every range of its bytes: an error or the truth.

Each check starts as a new process would: with nothing known of the files.
"""

import hashlib
import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest

from indexer.errors import TableError
from indexer.index import faiss_index, ivf, recall, segment_files
from indexer.index.faiss_index import build_index, open_index
from indexer.index.mapped import DamagedIndexError, name_of
from indexer.index.planner import Measured, Plan, Point
from indexer.prototypes import assignments
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.search.filter import Filter
from indexer.search.query import Query, Vector
from indexer.search.search import Hits, search
from indexer.sql.run import run_sql
from indexer.table import parts
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.stac_item import ITEM

from ...tolerance import cosine_error
from ..full_disk import with_file_size_limit
from ..random_rows import MODEL, random_cells
from ..small_tables import place_rows, place_table, whole

QUERY = np.arange(1, MODEL.dimension + 1).astype(np.float32)
RANGES = 12  # of a file's bytes
POINTS = tuple(Point(kind, share, Plan(8, 150), 0.99, 1e-9, 1.0) for share, kind in recall.CASES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddingTable]:
    """Two states of rows, prototypes, and an index with inverted files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment_files, "EXACT_ROWS", 50)
        patch.setattr(segment_files, "measure", lambda vectors, inverted: Measured(POINTS))
        table = place_table(tmp_path_factory.mktemp("made"), n=90)
        newer = table.upsert(place_rows(np.unique(random_cells(30)), seed=5))
        build_index(newer)
        fit_prototypes(newer, region_resolution=1, per_region=2)
        yield EmbeddingTable.open(newer.path)


@pytest.fixture
def table(made: EmbeddingTable, tmp_path: Path) -> EmbeddingTable:
    forget()
    return EmbeddingTable.open(shutil.copytree(made.path, tmp_path / "table"))


def forget() -> None:
    """What this process knows of files on disk."""
    for known in (
        parts._metadata,
        parts._check_digest,
        assignments._groups,
        segment_files.open_segment,
        segment_files._open_inverted,
    ):
        known.cache_clear()


def everything(path: Path, snapshot: int | None = None) -> tuple[pa.Table, pa.Table, list[float]]:
    """The rows, what SQL says of prototypes, and a search with its index."""
    forget()
    table = EmbeddingTable.open(path, snapshot)
    columns = "h3_cell, sample_id, start_datetime, prototype, prototype_similarity"
    joined = run_sql(table, f"SELECT {columns} FROM prototypes ORDER BY 1, 2, 3")
    return whole(table), joined, hits(table).rows["similarity"].to_pylist()


def outcome(path: Path) -> tuple[pa.Table, pa.Table, list[float]] | TableError:
    try:
        return everything(path)
    except TableError as error:
        return error


def hits(table: EmbeddingTable) -> Hits:
    forget()
    ever = Filter(start=datetime(1990, 1, 1), end=datetime(2090, 1, 1))  # so that all keys are looked at
    return search(table, Query((Vector(QUERY),)), 10, ever)


def damages(content: bytes, seed: int) -> Iterator[bytes]:
    """A byte changed in each of RANGES ranges, and the file cut at each."""
    rng = np.random.default_rng(seed)
    bounds = np.linspace(0, len(content), RANGES + 1).astype(int)
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if start < stop:
            at = int(rng.integers(start, stop))
            yield content[:at] + bytes([content[at] ^ int(rng.integers(1, 256))]) + content[at + 1 :]
            yield content[:start]


def replace_file(path: Path, content: bytes) -> None:
    """A new file under the name: the old one may still be mapped."""
    path.unlink()
    path.write_bytes(content)


KINDS = {
    "manifest": "manifests/000004.json",
    "part": "h3_r1=*/part-*.parquet",
    "prototypes": "sidecars/prototypes/prototypes-*.parquet",
    "assignments": "sidecars/prototypes/assignments-*.parquet",
    "index": "index/*.json",
    "segment": "index/*/segment.json",
    "keys": "index/*/h3_cell.bin",
    "starts": "index/*/start_us.bin",
    "ends": "index/*/end_us.bin",
    "matrix": "index/*/embedding.bin",
    "inverted file": "index/*/embedding.faiss",
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_damage_is_an_error_or_changes_nothing(table: EmbeddingTable, kind: str) -> None:
    expected = everything(table.path)
    before = everything(table.path, snapshot=2)
    file = max(table.path.glob(KINDS[kind]))  # of parts, one of the newest snapshot
    if kind == "part":
        file = table.path / table.files[0].path
    good, noticed = file.read_bytes(), 0
    for bad in damages(good, 0):
        replace_file(file, bad)
        found = outcome(table.path)
        if isinstance(found, TableError):
            assert "\n" not in str(found)
            assert not KINDS[kind].startswith("index"), "a search goes on without its index"
            noticed += 1
        else:
            assert found[:2] == expected[:2]
            np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=cosine_error(8))
            noticed += any("the index is not used" in note for note in hits(table).notes)
    replace_file(file, good)
    assert noticed >= 2 * RANGES - 2, "nearly all is read"
    assert everything(table.path)[:2] == expected[:2]
    assert everything(table.path, snapshot=2) == before


def test_cells_of_hits_are_checked(table: EmbeddingTable) -> None:
    """No filter looks at them here; but where a hit lies is read from them."""
    expected = hits(table)
    (file,) = table.path.glob(KINDS["keys"])
    replace_file(file, bytes(len(file.read_bytes())))
    found = hits(table)
    assert any("h3_cell.bin is damaged" in note for note in found.notes)
    of_index = ["similarity", "top_share"]
    assert found.rows.drop_columns(of_index) == expected.rows.drop_columns(of_index)


@pytest.mark.parametrize("kind", ["manifest", "prototypes", "assignments"])
def test_the_previous_snapshot_stays_readable(table: EmbeddingTable, kind: str) -> None:
    before = everything(table.path, snapshot=2)
    file = max(table.path.glob(KINDS[kind]))
    replace_file(file, file.read_bytes()[:-3])
    with pytest.raises(TableError):
        everything(table.path)
    assert everything(table.path, snapshot=2) == before
    assert everything(table.path, snapshot=3)[0] == whole(EmbeddingTable.open(table.path, 3))


def test_a_part_of_the_newest_snapshot_is_not_missed_by_the_one_before(table: EmbeddingTable) -> None:
    before = everything(table.path, snapshot=2)
    older = {file.path for file in EmbeddingTable.open(table.path, 2).files}
    for file in table.files:
        if file.path not in older:
            replace_file(table.path / file.path, b"")
    with pytest.raises(TableError, match="is missing or damaged"):
        everything(table.path)
    assert everything(table.path, snapshot=2) == before


def rewrite_index(table: EmbeddingTable, change: Callable[[dict[str, object], Path], object]) -> None:
    """An index that somebody made up: `change` edits a segment, and all digests are right again."""
    root = table.path / "index"
    (folder,) = (path for path in root.iterdir() if path.is_dir())
    description = json.loads((folder / "segment.json").read_bytes())
    description = change(description, folder) or description
    content = json.dumps(description).encode()
    (folder / "segment.json").write_bytes(content)
    name = name_of(content)
    folder.rename(root / name)
    (old,) = root.glob("*.json")
    document = json.dumps({"format": faiss_index.FORMAT, "snapshot": 3, "segments": [name]}).encode()
    old.rename(root / f"000003-{name_of(document)}.json").write_bytes(document)


def absurd_shape(description: dict[str, object], folder: Path) -> None:
    for array in description["arrays"]:  # type: ignore[attr-defined]
        array["shape"][0] = 10**12


def no_shape(description: dict[str, object], folder: Path) -> None:
    for array in description["arrays"]:  # type: ignore[attr-defined]
        array["shape"] = []


def objects_for_numbers(description: dict[str, object], folder: Path) -> None:
    for array in description["arrays"]:  # type: ignore[attr-defined]
        array["dtype"] = "|O"


def no_arrays(description: dict[str, object], folder: Path) -> None:
    del description["arrays"]


def a_list(description: dict[str, object], folder: Path) -> object:
    return [1, 2]


def parts_swapped(description: dict[str, object], folder: Path) -> None:
    description["parts"] = description["parts"][::-1]  # type: ignore[index]


def arrays_swapped(description: dict[str, object], folder: Path) -> None:
    names = ("embedding", "embedding_s1")
    for array in description["arrays"]:  # type: ignore[attr-defined]
        column, _, rest = array["name"].partition(".")
        if column in names:
            array["name"] = f"{names[1 - names.index(column)]}.{rest}"
    for rest in ("bin", "inverse_norm.bin"):
        first, second = (folder / f"{name}.{rest}" for name in names)
        content = first.read_bytes()
        replace_file(first, second.read_bytes())
        replace_file(second, content)


@pytest.mark.parametrize(
    "change", [absurd_shape, no_shape, objects_for_numbers, no_arrays, a_list, parts_swapped, arrays_swapped]
)
def test_an_index_made_up_under_right_digests_is_refused(
    table: EmbeddingTable, change: Callable[[dict[str, object], Path], object]
) -> None:
    expected = everything(table.path)[2]
    rewrite_index(table, change)
    with memory_of(2 << 30):
        found = hits(table)
    np.testing.assert_allclose(found.rows["similarity"], expected, rtol=0, atol=cosine_error(8))
    assert any("the index is not used" in note for note in found.notes)
    assert open_index(table)[0] is None or change in (parts_swapped, arrays_swapped), "those are told at use"


def test_an_index_that_names_a_segment_twice_finds_no_row_twice(table: EmbeddingTable) -> None:
    expected = hits(table).rows["sample_id"]
    (old,) = (table.path / "index").glob("*.json")
    document = json.loads(old.read_bytes())
    content = json.dumps(document | {"segments": document["segments"] * 2}).encode()
    old.rename(old.with_name(f"000003-{name_of(content)}.json")).write_bytes(content)
    found = hits(table)
    assert found.rows["sample_id"] == expected
    assert any("two segments hold the same rows" in note for note in found.notes)


def test_an_index_that_cannot_be_read_back_is_an_error_in_one_line(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(folder: Path) -> None:
        raise DamagedIndexError(f"{folder} cannot be read: Too many open files")

    monkeypatch.setattr(segment_files, "open_segment", unreadable)
    newer = table.upsert(place_rows(np.unique(random_cells(40, seed=8)), seed=6))
    with pytest.raises(TableError, match=r"the index cannot be read back: .* Too many open files"):
        build_index(newer)


@contextmanager
def memory_of(more: int) -> Iterator[None]:
    """This process may take so many bytes more; what asks for more fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture(scope="module")
def inverted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    matrix = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float16)
    path = tmp_path_factory.mktemp("inverted") / "embedding.faiss"
    ivf.train(matrix).write(path)
    return path.read_bytes()


@pytest.mark.parametrize("size", [2**31 - 1, 10**12, 2**62])
def test_absurd_sizes_in_an_inverted_file_are_refused_before_memory_is_taken(
    inverted: bytes, size: int, tmp_path: Path
) -> None:
    """At every fourth byte of the head, where the sizes are; the digest is right each time."""
    refused, limit = 0, faiss.get_deserialization_vector_byte_limit()
    for at in range(0, 400, 4):
        path = tmp_path / f"{at}.faiss"
        path.write_bytes(inverted[:at] + size.to_bytes(8, "little") + inverted[at + 8 :])
        with memory_of(1 << 30):
            try:
                ivf.read(path, hashlib.sha256(path.read_bytes()).hexdigest(), 2000, 16)
            except DamagedIndexError:
                refused += 1
    assert refused >= 5, "dimensions, counts and lengths"
    assert faiss.get_deserialization_vector_byte_limit() == limit, "others read as they did"


def listing(path: Path) -> dict[str, bytes]:
    """What is there, but for what only serves writers while they write."""
    passing = (".lock", "turn")
    files = (file for file in path.rglob("*") if file.is_file() and file.name not in passing)
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("size", [0, 100, 1_000, 4_000, 8_000])
def test_a_full_disk_leaves_the_index_as_it_was(
    table: EmbeddingTable, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_files, "EXACT_ROWS", 50)
    monkeypatch.setattr(segment_files, "measure", lambda vectors, inverted: Measured(POINTS))
    newer = table.upsert(place_rows(np.unique(random_cells(100, seed=8)), seed=6))
    before = listing(table.path)
    with pytest.raises(TableError, match=r"cannot write .*index"):
        with_file_size_limit(size, lambda: build_index(newer))
    assert listing(table.path) == before
    assert "the index is 2 snapshots old" in " ".join(hits(newer).notes)
    assert build_index(newer).rows == newer.row_count


@pytest.mark.parametrize("size", [0, 1_000, 4_000])
def test_a_full_disk_leaves_the_prototypes_as_they_were(table: EmbeddingTable, size: int) -> None:
    before, found = EmbeddingTable.open(table.path).manifest, read_prototypes(table)
    with pytest.raises(TableError, match="cannot write"):
        with_file_size_limit(size, lambda: fit_prototypes(table, region_resolution=1, per_region=3))
    after = EmbeddingTable.open(table.path)
    assert after.manifest == before
    np.testing.assert_array_equal(read_prototypes(after).vectors, found.vectors)
    assert after.validate() == []


def test_an_index_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    table = place_table(tmp_path, n=10)
    (tmp_path / "index").write_text("a file in the way")
    with pytest.raises(TableError, match=r"cannot write .*index") as caught:
        build_index(table)
    assert "\n" not in str(caught.value)
    assert len(hits(table).rows) == 10
    assert not (tmp_path / ITEM).read_text().startswith("a file")
