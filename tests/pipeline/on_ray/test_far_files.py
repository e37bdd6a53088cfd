"""Files on a server, read by Ray's processes: passing faults are tried again there, bad data is not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.access import Access
from data.cover import plan_chips
from data.stac import read_catalog

from ...data.conftest import TinyCatalog
from ...data.servers import Handler, Served, serving, sometimes
from .conftest import Job, rows

PLACES = 12


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A scene of each of a dozen places."""
    tiny = TinyCatalog(tmp_path_factory.mktemp("imagery"))
    for i in range(PLACES):
        pixels = tiny.typical("s2", (16, 16), seed=i)
        tiny.add("s2", f"p{i:02}", pixels, place=f"p{i:02}", left=tiny.left + 5000 * i)
    with serving(tiny.write().parent) as server:
        yield server


def planned(served: Served, job: Job, **options: Any) -> Job:
    catalog = read_catalog(f"{served.url}/catalog.json", Access(**{"wait_s": 20, "tries": 30, **options}))
    return replace(job, plan=plan_chips(catalog, job.encoder.spec, h3_resolution=9))


def test_passing_faults_are_tried_again(job: Job, engine: Any, served: Served, tmp_path: Path) -> None:
    served.fault = lambda handler, number: False
    right = planned(served, job)
    expected = right.run(tmp_path / "here").table
    assert expected.row_count == PLACES
    served.requests.clear()
    served.fault = sometimes(0.2)
    found = right.run(tmp_path / "t", engine=engine)
    assert (found.unfinished, found.skipped, found.dropped) == ((), (), ())
    assert rows(found.table).equals(rows(expected), check_metadata=True)


def test_bad_data_is_a_fact_and_silence_is_none(
    job: Job, engine: Any, served: Served, tmp_path: Path
) -> None:
    def fault(handler: Handler, number: int) -> bool:
        if "p03.tif" in handler.path:
            handler.give(404)
        elif "p07.tif" in handler.path:
            handler.give(503)
        else:
            return False
        return True

    served.requests.clear()
    served.fault = fault
    found = planned(served, job, tries=2).run(tmp_path / "t", engine=engine)
    assert [skip.sample_id for skip in found.skipped] == ["p03"]
    assert "no such file" in found.skipped[0].reason
    assert [left.sample_id for left in found.unfinished] == ["p07"]
    assert "HTTP 503" in found.unfinished[0].reason
    assert found.embedded == PLACES - 2
    assert sum("p03.tif" in request for request in served.requests) == 1
