"""A device that is there, is not there, or is too small."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import QueryError
from indexer.geo.row_ranges import RowRanges
from indexer.index.on_device import SLACK
from indexer.index.vectors import Vectors
from indexer.table.columns import unit
from pipeline.on_device import device as device_module
from pipeline.on_device.device import TorchDevice
from pipeline.on_device.searcher import searcher_of

ROOT = Path(__file__).parents[3]


def test_vectors_are_copied_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "STAGED_ROWS", 7)
    matrix = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    matrix[[3, 44]] = np.inf
    vectors = Vectors.of(matrix)
    matrix.flags.writeable = False  # as a mapped file
    held = TorchDevice("cpu").hold(matrix, vectors.inverse_norms.unchecked)
    (named,) = held.may_be_best(RowRanges.all_of(50), unit(np.ones((1, 1, 4))), 50, SLACK)
    assert named.tolist() == [row for row in range(50) if row not in (3, 44)]


@pytest.mark.parametrize("name", ["gpu", "cuda:", "mps", "", "cpu:0"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(QueryError, match=f"device '{name}': expected cpu, cuda, or cuda:N"):
        TorchDevice(name)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        QueryError, match=r"device 'cuda': torch .* finds no CUDA device; leave the device out"
    ):
        TorchDevice("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert TorchDevice("cuda:1").name == "cuda:1"
    with pytest.raises(QueryError, match="device 'cuda:2': there are 2, counted from cuda:0"):
        TorchDevice("cuda:2")


def test_memory_of_a_gpu_is_what_is_free_and_what_torch_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 << 30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1 << 30)
    assert TorchDevice("cuda").free_bytes == (14 << 30) - device_module.WORKING_BYTES["cuda"]


def test_this_machine_has_some_memory_free() -> None:
    (total,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    assert 0 < TorchDevice("cpu").free_bytes < int(total.split()[1]) * 1024


def test_memory_that_ends_in_a_search_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    vectors = Vectors.of(np.eye(4, dtype=np.float16))
    held = TorchDevice("cpu").hold(vectors.matrix.unchecked, vectors.inverse_norms.unchecked)
    monkeypatch.setattr(held, "_maxima", full)
    with pytest.raises(QueryError, match="cpu has no memory left for this search: end what else runs"):
        held.may_be_best(RowRanges.all_of(4), np.eye(4)[:1, None], 2, SLACK)


def test_a_device_and_processes_exclude_each_other() -> None:
    for others in ((2, None), (None, 1.0)):
        with (
            pytest.raises(QueryError, match="device 'cpu' searches all shards itself"),
            searcher_of("cpu", *others),
        ):
            pass
    with searcher_of(None) as nobody:
        assert nobody is None


def test_torch_is_loaded_by_who_asks_for_a_device() -> None:
    code = "import pipeline.on_device.searcher, indexer.index.on_device, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
