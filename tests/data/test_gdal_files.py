"""Files that GDAL reads by ranges: a place in one of them moves as in any file."""

import io
import os

import numpy as np

from data.gdal_files import TextFile, _Handle

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
