"""Pieces of work: in order, a few ahead, errors as they are, and what was lost is named."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import QueryError, TableError
from indexer.prototypes.assignments import read_assignments
from indexer.prototypes.region_rows import stretches
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.table.embedding_table import EmbeddingTable
from indexer.workers import AHEAD, Lost, Processes, here, whole, workers_of

from .random_rows import MODEL, random_cells
from .small_tables import place_rows


def many_parts(path: Path) -> EmbeddingTable:
    """A table of some twenty parts."""
    table = EmbeddingTable.create(path, MODEL, h3_resolution=9, partition_resolution=3)
    return table.upsert(place_rows(np.unique(random_cells(600, 3, box=(0, 42, 9, 48)))))


def squared(folder: Path, number: int) -> tuple[int, int, str]:
    (folder / str(number)).touch()
    return number**2, os.getpid(), os.environ.get("OMP_NUM_THREADS", "")


def refusing(number: int) -> int:
    if number == 2:
        raise QueryError("two is refused")
    return number


def deadly(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_processes_do_pieces_in_order_and_share_the_cores(tmp_path: Path) -> None:
    done = list(Processes(2)(partial(squared, tmp_path), range(7)))
    assert [piece for piece, _ in done] == list(range(7))
    assert [made[0] for _, made in done] == [0, 1, 4, 9, 16, 25, 36]  # type: ignore[index]
    assert os.getpid() not in {made[1] for _, made in done}  # type: ignore[index]
    assert {made[2] for _, made in done} == {str(max((os.cpu_count() or 1) // 2, 1))}  # type: ignore[index]


def test_few_pieces_are_begun_before_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    next(iter(here(partial(squared, tmp_path / "here"), range(30))))
    assert len(list((tmp_path / "here").iterdir())) == 1
    coming = Processes(1)(partial(squared, tmp_path / "there"), range(30))
    next(coming)
    assert len(list((tmp_path / "there").iterdir())) <= 1 + 1 + AHEAD
    coming.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [here, Processes(2)])
def test_errors_come_as_they_are(workers: Processes) -> None:
    with pytest.raises(QueryError, match="two is refused"):
        list(workers(refusing, range(4)))


def test_a_process_that_dies_ends_the_work() -> None:
    with pytest.raises(TableError, match="died, most likely for want of memory: run the same command again"):
        list(Processes(2)(deadly, range(4)))


def test_what_was_lost_is_named_after_the_rest() -> None:
    def pieces() -> Iterator[tuple[int, str | Lost]]:
        yield 1, Lost("it died")
        yield 2, "made"

    done = whole(pieces(), lambda piece: f"piece {piece}")
    assert next(done) == (2, "made")
    with pytest.raises(TableError, match="piece 1: it died: the same command tries again what is missing"):
        next(done)


def test_one_is_this_process_and_others_are_as_they_are() -> None:
    assert workers_of(1) is here
    assert workers_of(3) == Processes(3)
    assert workers_of(Processes(1)) == Processes(1)


def test_stretches_cover_the_table_and_share_no_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.geo.cells import parent
    from indexer.prototypes import region_rows

    table = many_parts(tmp_path / "t")
    monkeypatch.setattr(region_rows, "STRETCH_ROWS", 60)
    for resolution in (None, 1, 3):
        found = stretches(table, resolution)
        assert len(found) > 2
        rows = [sum(map(len, table.scan(["h3_cell"], ranges=stretch))) for stretch in found]
        assert sum(rows) == table.row_count
        assert min(rows[:-1]) >= 60
        ends = np.concatenate(found)
        assert (ends[1:, 0] > ends[:-1, 1]).all()
        if resolution is not None:
            assert all(
                parent(int(a), resolution) != parent(int(b), resolution)
                for a, b in zip(ends[:-1, 1], ends[1:, 0], strict=True)
            )


def test_processes_fit_the_prototypes_that_this_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.prototypes import region_rows

    monkeypatch.setattr(region_rows, "STRETCH_ROWS", 60)
    tables = [many_parts(tmp_path / name) for name in ("one", "two")]
    options = {"region_resolution": 2, "per_region": 5, "seed": 1}
    infos = [fit_prototypes(table, **options, workers=n) for table, n in zip(tables, (1, 2), strict=True)]  # type: ignore[arg-type]
    assert infos[0] == infos[1]
    one, two = (EmbeddingTable.open(table.path) for table in tables)
    found, expected = read_prototypes(two), read_prototypes(one)
    assert (found.region_cell == expected.region_cell).all()
    assert (found.n_rows == expected.n_rows).all()
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-5)
    assert read_assignments(two).drop_columns("prototype_similarity") == read_assignments(one).drop_columns(
        "prototype_similarity"
    )
