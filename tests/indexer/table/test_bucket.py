"""Files of a bucket, without a server: which bytes are asked for, what is kept, when it is asked again."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from obstore.store import MemoryStore

from indexer.errors import TableError
from indexer.table import bucket, local_cache
from indexer.table.bucket import Bucket, _CutError, _Reader
from indexer.table.local_cache import LocalCache
from indexer.table.storage import AlreadyThereError

CONTENT = np.random.default_rng(0).bytes(10_500)
PATH = "rows/part.parquet"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of eleven pieces of one file."""
    store = MemoryStore()
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bucket, "store_of", lambda address: store)
    monkeypatch.setattr(bucket, "PIECE_BYTES", 1_000)
    monkeypatch.setattr(bucket, "PAUSE_S", 0)
    made = Bucket("s3://bucket/table/")
    made.put(PATH, CONTENT)
    return made


@pytest.fixture
def asked(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, int]]]:
    """The spans of each request."""
    requests: list[list[tuple[int, int]]] = []
    ranges = Bucket._ranges

    def seen(self: Bucket, path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        requests.append([*spans])
        return ranges(self, path, spans)

    monkeypatch.setattr(Bucket, "_ranges", seen)
    return requests


def reader(place: Bucket, planned: Sequence[tuple[int, int]] = ()) -> _Reader:
    return _Reader(place, PATH, len(CONTENT), planned)


def test_a_reader_gives_what_a_file_gives(place: Bucket) -> None:
    ours, file = reader(place), io.BytesIO(CONTENT)
    rng = np.random.default_rng(1)
    for _ in range(60):
        whence = int(rng.integers(3))
        low, high = {0: (0, 10_500), 1: (-file.tell(), 200), 2: (-10_500, 1)}[whence]
        offset, size = int(rng.integers(low, high)), int(rng.choice([-1, 0, 1, 999, 1_000, 1_001, 3_500]))
        assert ours.seek(offset, whence) == file.seek(offset, whence)
        assert ours.read(size) == file.read(size)
        assert ours.tell() == file.tell()
    ours.seek(10_400)
    buffer = bytearray(200)
    assert ours.readinto(buffer) == 100
    assert buffer == CONTENT[10_400:] + bytes(100)
    assert (ours.readall(), ours.readable(), ours.seekable()) == (b"", True, True)


def test_neighbouring_pieces_are_one_span_and_are_asked_for_once(
    place: Bucket, asked: list[list[tuple[int, int]]]
) -> None:
    file = reader(place)
    file.seek(1_500)
    assert file.read(1_000) == CONTENT[1_500:2_500]
    file.seek(9_999)
    assert file.read(501) == CONTENT[9_999:]
    assert asked == [[(1_000, 3_000)], [(9_000, 10_500)]]
    file.seek(2_000)
    assert file.read(2_000) == CONTENT[2_000:4_000]
    assert asked[2:] == [[(3_000, 4_000)]]
    again = reader(Bucket("s3://bucket/table"))
    again.seek(1_200)
    assert again.read(2_700) == CONTENT[1_200:3_900]
    assert len(asked) == 3, "kept on the disk"
    place.forget(PATH)
    again.seek(1_000)
    assert again.read(1) == CONTENT[1_000:1_001]
    assert asked[3:] == [[(1_000, 2_000)]]


def test_what_is_planned_comes_in_one_request_up_to_a_size(
    place: Bucket, asked: list[list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "AHEAD_BYTES", 1_800)
    file = reader(place, [(0, 500), (2_000, 2_900), (5_000, 5_100), (7_000, 9_500)])
    assert file.read(500) == CONTENT[:500]
    assert asked == [[(0, 1_000), (2_000, 3_000), (5_000, 6_000), (7_000, 8_000)]]


def test_the_end_of_a_file_is_asked_for_once_and_once_more_for_a_longer_end(
    place: Bucket, asked: list[list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "END_BYTES", 300)
    for length in (8, 300, 400, 350, 20_000, 10_500):
        assert place.read_end(PATH, length, len(CONTENT)) == CONTENT[-length:]
    assert asked == [[(10_200, 10_500)], [(10_100, 10_500)], [(0, 10_500)]]


def test_a_file_is_whole_on_the_disk_once(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place.local_copy(PATH)
    assert first.read_bytes() == CONTENT
    place.delete(PATH)
    assert place.local_copy(PATH) == first
    assert place.open(PATH, len(CONTENT), ()) == str(first)
    place.forget(PATH)
    with pytest.raises(TableError, match=r"cannot read s3://bucket/table/rows/part\.parquet"):
        place.local_copy(PATH)


def test_lists_and_names(place: Bucket) -> None:
    for name in ("a.json", "b.json", "deep/c.json"):
        place.put(f"manifests/{name}", b"{}")
    assert sorted(place.names("manifests")) == ["a.json", "b.json"]
    assert sorted(file.path for file in place.files("manifests")) == [
        "manifests/a.json", "manifests/b.json", "manifests/deep/c.json",
    ]  # fmt: skip
    assert {file.path: file.bytes for file in place.files()}[PATH] == len(CONTENT)
    assert place.names("nowhere") == []
    place.delete("manifests/a.json")
    place.delete("manifests/a.json")
    assert place.names("manifests") == ["b.json"]


def test_the_first_to_put_a_name_has_it(place: Bucket) -> None:
    place.put_new("manifests/2.json", b"mine")
    place.put_new("manifests/2.json", b"mine")  # its answer may have been lost
    with pytest.raises(AlreadyThereError):
        place.put_new("manifests/2.json", b"theirs")
    assert place.read("manifests/2.json") == b"mine"


@pytest.mark.parametrize("error", [_CutError("cut"), OSError("gone")])
def test_a_fault_that_passes_is_asked_again_and_one_that_stays_is_told(
    place: Bucket, error: Exception
) -> None:
    tries: list[int] = []

    def failing(times: int) -> str:
        tries.append(times)
        if len(tries) <= times:
            raise error
        return "here"

    assert place._asked("cannot read it", lambda: failing(bucket.TRIES - 1)) == "here"
    assert len(tries) == bucket.TRIES
    tries.clear()
    with pytest.raises(TableError, match="cannot read it: "):
        place._asked("cannot read it", lambda: failing(100))
    assert len(tries) == bucket.TRIES


def test_the_longest_unused_are_forgotten_beyond_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path))
    monkeypatch.setenv("SKYHEX_CACHE_GB", "1e-5")
    cache = LocalCache("a table")
    for number in range(9):
        cache.keep_piece("a.parquet", str(number), bytes(996))  # and a checksum: 1,000 of 10,000 bytes
        os.utime(cache.folder / "pieces/a.parquet" / str(number), (number, number))
    assert all(cache.piece("a.parquet", str(number)) == bytes(996) for number in (0, 8))  # 0 was used now
    local_cache._sweep(cache.folder.parent, 10_000)
    assert cache.piece("a.parquet", "1") is not None
    os.utime(cache.folder / "pieces/a.parquet/1", (1, 1))
    local_cache._sweep(cache.folder.parent, 8_000)  # to 7,200
    assert [n for n in range(9) if cache.piece("a.parquet", str(n)) is not None] == [0, 3, 4, 5, 6, 7, 8]
    cache.check_room(9_000)
    with pytest.raises(TableError, match="this needs 9e-06 GB of the bucket"):
        cache.check_room(9_001)


def test_a_piece_that_is_not_what_was_kept_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYHEX_CACHE", str(tmp_path))
    cache = LocalCache("a table")
    cache.keep_piece("a.parquet", "0", b"content")
    place = cache.folder / "pieces/a.parquet/0"
    place.write_bytes(b"C" + place.read_bytes()[1:])
    assert cache.piece("a.parquet", "0") is None
    assert cache.whole("a.parquet") is None


@pytest.mark.parametrize("said", ["", "much", "0", "-1", "inf", "nan"])
def test_a_size_of_the_cache_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("SKYHEX_CACHE_GB", said)
    with pytest.raises(TableError, match=f"SKYHEX_CACHE_GB is '{said}': expected gigabytes, such as 20"):
        local_cache.cache_bytes()


@pytest.mark.parametrize("lasts", [bucket.TRIES - 1, bucket.TRIES])
def test_a_name_is_put_again_where_a_fault_may_pass(
    place: Bucket, monkeypatch: pytest.MonkeyPatch, lasts: int
) -> None:
    tries: list[str] = []
    put = bucket.obstore.put

    def failing(store: object, path: str, content: bytes, **options: object) -> object:
        tries.append(path)
        if len(tries) <= lasts:
            raise OSError("gone")
        return put(store, path, content, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bucket.obstore, "put", failing)
    if lasts < bucket.TRIES:
        place.put_new("manifests/9.json", b"mine")
        assert place.read("manifests/9.json") == b"mine"
    else:
        with pytest.raises(TableError, match="cannot write"):
            place.put_new("manifests/9.json", b"mine")
    assert len(tries) == bucket.TRIES
