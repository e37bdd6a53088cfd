"""Arrays in files: what was written comes back, and damage is found before it is used."""

from pathlib import Path

import numpy as np
import pytest

from indexer.index import mapped
from indexer.index.mapped import ArrayFile, ArrayWriter, CheckedArray, DamagedIndexError


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ArrayFile, np.ndarray]:
    """1,000 rows of 6 bytes, in blocks of 64 bytes."""
    monkeypatch.setattr(mapped, "BLOCK_BYTES", 64)
    rows = np.arange(3000, dtype=np.float16).reshape(1000, 3)
    writer = ArrayWriter(tmp_path, "a.bin")
    for piece in np.split(rows, [1, 7, 500]):
        writer.append(piece)
    return writer.close(), rows


def test_pieces_come_back_whole(tmp_path: Path, written: tuple[ArrayFile, np.ndarray]) -> None:
    file, rows = written
    assert file.shape == (1000, 3)
    np.testing.assert_array_equal(CheckedArray.open(tmp_path, file).whole(), rows)


def test_every_flipped_byte_is_found_under_the_rows_that_hold_it(
    tmp_path: Path, written: tuple[ArrayFile, np.ndarray]
) -> None:
    file, _ = written
    content = (tmp_path / "a.bin").read_bytes()
    for byte in range(0, len(content), 101):
        damaged = bytearray(content)
        damaged[byte] ^= 1
        (tmp_path / "a.bin").write_bytes(damaged)
        array = CheckedArray.open(tmp_path, file)
        row = byte // 6
        with pytest.raises(DamagedIndexError, match="damaged at byte"):
            array.check(np.array([row]), np.array([row + 1]))
        if row > 20:
            array.check(np.array([0]), np.array([row - 20]))  # what lies before is good and may be used


def test_truncated_and_missing_files_are_refused(
    tmp_path: Path, written: tuple[ArrayFile, np.ndarray]
) -> None:
    file, _ = written
    path = tmp_path / "a.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedIndexError, match="5999 bytes, expected 6000"):
        CheckedArray.open(tmp_path, file)
    path.unlink()
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        CheckedArray.open(tmp_path, file)


def test_an_absurd_size_is_refused_before_memory_is_taken(
    tmp_path: Path, written: tuple[ArrayFile, np.ndarray]
) -> None:
    file, _ = written
    huge = ArrayFile(file.name, file.dtype, (2**60, 3), file.block_crc32)
    with pytest.raises(DamagedIndexError, match="expected"):
        CheckedArray.open(tmp_path, huge)


def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int = 40) -> CheckedArray:
    """Rows of eight bytes in blocks of 64: eight to a block."""
    monkeypatch.setattr(mapped, "BLOCK_BYTES", 64)
    writer = ArrayWriter(tmp_path, "a.bin", bond=7)
    for first in range(0, rows, 3):
        writer.append(np.arange(first, min(first + 3, rows), dtype=np.int64))
    return CheckedArray.open(tmp_path, writer.close(), bond=7)


@pytest.mark.parametrize(
    ("ranges", "compared"),
    [
        ([(0, 1)], [0]),
        ([(0, 8)], [0]),
        ([(0, 9)], [0, 1]),
        ([(7, 9)], [0, 1]),
        ([(8, 16)], [1]),
        ([(39, 40)], [4]),
        ([(0, 40)], [0, 1, 2, 3, 4]),
        ([(0, 2), (35, 36)], [0, 4]),
        ([(0, 30), (2, 3)], [0, 1, 2, 3]),
        ([(20, 20)], []),
        ([], []),
        ([(8, 9), (9, 10), (8, 16)], [1]),
    ],
)
def test_the_blocks_under_rows_are_compared_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: list[tuple[int, int]], compared: list[int]
) -> None:
    array = blocks(tmp_path, monkeypatch)
    pairs = np.array(ranges, np.int64).reshape(-1, 2)
    for _ in range(2):
        array.check(pairs[:, 0], pairs[:, 1])
        assert np.flatnonzero(np.frombuffer(array._known_good, np.uint8)).tolist() == compared


def test_a_block_between_two_that_are_known_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = blocks(tmp_path, monkeypatch)
    array.check(np.array([0, 32]), np.array([1, 33]))
    array.check(np.array([0, 7]), np.array([40, 9]))
    assert 0 not in array._known_good
    other = blocks(tmp_path, monkeypatch)
    other.check(np.array([0, 32]), np.array([1, 33]))
    other.check(np.array([0]), np.array([40]))
    assert 0 not in other._known_good


def test_runs_come_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = blocks(tmp_path, monkeypatch)
    starts = np.array([5, 0, 38], np.uint64)
    assert array.runs(starts, 2).tolist() == [5, 6, 0, 1, 38, 39]
    assert array.runs(starts, np.array([1, 0, 2])).tolist() == [5, 38, 39]
    assert array.runs(np.empty(0, np.uint64), 3).tolist() == []
    assert array.runs(np.array([40], np.uint64), 0).tolist() == []
    for start, length in ((39, 2), (41, 0), (2**63, 1)):
        with pytest.raises(DamagedIndexError, match="more than its 40 elements are asked for"):
            array.runs(np.array([start], np.uint64), length)
    with pytest.raises(DamagedIndexError, match="more than its 40"):
        array.runs(np.array([5], np.uint64), np.array([-1]))
    with pytest.raises(DamagedIndexError, match="more than its 40"):
        array.runs(np.array([5, 2**63, 7], np.uint64), 1)


def test_a_wrong_bond_is_damage_and_names_its_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "BLOCK_BYTES", 64)
    writer = ArrayWriter(tmp_path, "a.bin", bond=7)
    writer.append(np.arange(40, dtype=np.int64))
    other = CheckedArray.open(tmp_path, writer.close(), bond=8)
    with pytest.raises(DamagedIndexError, match=r"a\.bin is damaged at byte 64"):
        other.check(np.array([8]), np.array([9]))


def test_arrays_in_memory_need_no_check() -> None:
    array = CheckedArray(np.arange(4))
    array.check(np.array([0]), np.array([4]))
    assert (array.whole().tolist(), len(array), array.path) == ([0, 1, 2, 3], 4, None)


def test_what_a_reader_is_told_of_damage() -> None:
    error = DamagedIndexError("why")
    assert error.note == "the index is not used (why): run `skyhex index`"
    error.segment = Path("s")
    assert error.note == "a shard of the index is not used (why): run `skyhex index`"
    assert mapped.name_of(b"") == "e3b0c44298fc1c14"
