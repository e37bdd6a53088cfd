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
