"""Files that GDAL reads by ranges: a place in one of them moves as in any file."""

import io
import os

import numpy as np
import pytest

from data.gdal_files import TextFile, _Folder, _Handle

CONTENT = bytes(range(200))


def test_a_handle_reads_and_seeks_as_a_file_does() -> None:
    ours, file = _Handle(TextFile(CONTENT)), io.BytesIO(CONTENT)
    rng = np.random.default_rng(0)
    for _ in range(50):
        whence = int(rng.choice([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]))
        low = {os.SEEK_SET: 0, os.SEEK_CUR: -file.tell(), os.SEEK_END: -200}[whence]
        offset, count = int(rng.integers(low, low + 200)), int(rng.choice([-1, 0, 7, 300]))
        assert ours.seek(offset, whence) == file.seek(offset, whence)
        assert ours.read(count) == file.read(count)
        assert ours.tell() == file.tell()


def test_a_folder_has_the_files_it_was_given_under_any_path() -> None:
    folder = _Folder({"image": TextFile(CONTENT), "part": TextFile(b"ab")})
    assert (folder.size("x/image"), folder.size("part")) == (200, 2)
    assert folder.isfile("a/b/part")
    assert not folder.isfile("a/part/other")
    assert (folder.isdir("a"), folder.ls("a"), folder.mtime("image")) == (False, [], 0)
    assert folder.open("x/part").read() == b"ab"
    for ask in (folder.open, folder.size, folder.rm):
        with pytest.raises(FileNotFoundError):
            ask("none")


def test_parts_of_a_file_in_memory() -> None:
    with _Handle(TextFile(CONTENT)) as handle:
        assert handle.get_byte_ranges([0, 190, 5], [3, 20, 1]) == [CONTENT[:3], CONTENT[190:], CONTENT[5:6]]
    assert TextFile(CONTENT).read(7, 4) == CONTENT[7:11]
