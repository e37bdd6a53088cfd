"""A job over imagery on a server: whatever fails there, every row is right or said to be missing."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data import raster, web
from data.access import Access
from data.cover import plan_chips
from data.sample import Sample, SampleSpec
from data.stac import read_catalog
from encoder.embed import EmbeddingBatch
from indexer.table.columns import to_matrix
from indexer.table.embedding_table import EmbeddingTable
from pipeline import embed_job
from pipeline.embed_job import EmbedReport, embed_plan

from ..data.conftest import TinyCatalog
from ..data.servers import Fault, Handler, Served, serving, silent, sometimes

PLACES, DATES = 25, 8
FEW = 5  # places of the catalog few.json


class Means:
    """Stands in for the encoder: mean and deviation of each date, which any wrong pixel changes."""

    info = SimpleNamespace(
        name="means", digest="0" * 64, dimension=16, licence="Apache-2.0", trained=False, config={}
    )
    spec = SampleSpec()

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        found = np.stack([self._one(sample) for sample in samples])  # (B, 16)
        absent = np.full_like(found, np.nan)
        return EmbeddingBatch(found, None, {"hr": absent, "s2": found, "s1": absent}, None)

    def _one(self, sample: Sample) -> np.ndarray:
        pixels = sample.series["s2"].pixels.astype(np.float64)  # (T, C, H, W)
        numbers = np.zeros((2, 8))
        numbers[:, : len(pixels)] = pixels.mean((1, 2, 3)), pixels.std((1, 2, 3))
        return np.asarray(numbers.ravel() / np.linalg.norm(numbers), np.float32)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 scenes: 25 places of 8 dates."""
    tiny = TinyCatalog(tmp_path_factory.mktemp("imagery") / "catalog")
    for i in range(PLACES * DATES):
        place, date = divmod(i, DATES)
        tiny.add(
            "s2",
            f"p{place:02}d{date}",
            tiny.typical("s2", (16, 16), seed=i),
            place=f"p{place:02}",
            left=tiny.left + 5000 * place,
            date=f"2020-{date + 1:02}-15T10:00:00Z",
        )
    path = tiny.write()
    few = json.loads(path.read_text())
    few["links"] = few["links"][: FEW * DATES]
    (path.parent / "few.json").write_text(json.dumps(few))
    return path


@pytest.fixture
def served(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(web, "FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(web, "_silent", {})
    monkeypatch.setattr(embed_job, "CHUNK_MIN", 2)
    monkeypatch.setattr(embed_job, "CHUNK_MAX", 2)
    monkeypatch.setattr(raster, "LEFT_ALONE", 0)
    raster._kept.clear()
    with serving(catalog.parent) as server:
        yield server


def embed(href: str, table: Path, **options: Any) -> EmbedReport:
    encoder: Any = Means()
    catalog = read_catalog(href, Access(**{"wait_s": 5, "tries": 30, **options}))
    assert catalog.unreachable == ()
    return embed_plan(plan_chips(catalog, encoder.spec), encoder, table, h3_resolution=12, workers=0)


def rows(table: EmbeddingTable) -> dict[str, bytes]:
    return {
        name: vector.tobytes()
        for found in table.scan(["sample_id", "embedding"])
        for name, vector in zip(found["sample_id"].to_pylist(), to_matrix(found["embedding"]), strict=True)
    }


def test_with_a_tenth_of_requests_failing_every_row_is_right(
    catalog: Path, served: Served, tmp_path: Path
) -> None:
    right = embed(str(catalog), tmp_path / "local")
    assert right.embedded == PLACES
    served.fault = sometimes(0.1)
    found = embed(f"{served.url}/catalog.json", tmp_path / "served")
    assert (found.unfinished, found.skipped, found.dropped) == ((), (), ())
    assert rows(found.table) == rows(right.table)
    assert len(served.requests) > 2 * PLACES * DATES  # an item and a raster of each scene, and more


def failing(names: tuple[str, ...], fault: Fault) -> Fault:
    return lambda handler, number: any(name in handler.path for name in names) and fault(handler, number)


def unavailable(handler: Handler, number: int) -> bool:
    handler.give(503)
    return True


def test_what_cannot_be_read_now_is_unfinished_and_the_same_job_finishes_it(
    catalog: Path, served: Served, tmp_path: Path
) -> None:
    served.fault = failing(("p01d2.tif", "p04d0.tif"), unavailable)
    first = embed(f"{served.url}/few.json", tmp_path / "t", tries=2)
    assert sorted(left.sample_id for left in first.unfinished) == ["p01", "p04"]
    assert all("HTTP 503" in left.reason for left in first.unfinished)
    assert (first.embedded, first.dropped, first.skipped) == (FEW - 2, (), ())
    assert not {"p01", "p04"} & set(rows(first.table))
    served.fault = lambda handler, number: False
    raster._kept.clear()
    again = embed(f"{served.url}/few.json", tmp_path / "t")
    assert again.unfinished == ()
    assert 0 < again.already < FEW - 2  # whole chunks are not done again
    assert rows(again.table) == rows(embed(str(catalog.parent / "few.json"), tmp_path / "local").table)
    assert embed(f"{served.url}/few.json", tmp_path / "t").embedded == 0


def test_a_missing_file_is_a_fact_and_the_place_goes_on(served: Served, tmp_path: Path) -> None:
    served.fault = failing(("p03d1.tif",), lambda handler, number: handler.give(404) is None)
    report = embed(f"{served.url}/few.json", tmp_path / "t")
    assert report.unfinished == ()
    assert report.embedded == FEW
    ((modality, reason),) = report.dropped
    assert modality == "s2"
    assert "no such file" in reason


def test_a_silent_file_does_not_hold_up_the_rest(served: Served, tmp_path: Path) -> None:
    served.fault = failing(("p03d1.tif",), silent)
    report = embed(f"{served.url}/few.json", tmp_path / "t", wait_s=0.5)
    assert [left.sample_id for left in report.unfinished] == ["p03"]
    assert report.embedded == FEW - 1


def test_keys_are_those_of_the_first_tables() -> None:
    """What commit 05ae2c6 computed; another key would embed its tables anew."""
    from datetime import UTC, datetime

    from data.grid import PixelGrid
    from data.scene import BandSource, Scene
    from data.stac import Catalog, Place

    at = datetime(2024, 5, 1, tzinfo=UTC)
    grid = PixelGrid("EPSG:32633", (10, 0, 499980, 0, -10, 5400000), (64, 64))

    def scene(modality: str, names: str, level: str = "", query: str = "?v=2", **fields: Any) -> Scene:
        bands = tuple(
            BandSource(b, f"https://example.org/x/{b}.tif{query}", i)
            for i, b in enumerate(names.split(), start=1)
        )
        return Scene("it", None, modality, level, bands, grid, at, at, at, **fields)

    def key(query: str) -> str:
        s2 = scene(
            "s2",
            "B02 B03 B04 B05 B06 B07 B08 B8A B11 B12",
            "L2A",
            query,
            cloud_percent=12.5,
            scl_href="https://example.org/x/scl.tif",
            offset=-1000,
            nodata=0.0,
            baseline=4.0,
        )
        s1 = scene("s1", "VV VH", query=query, unit="dB", orbit="ascending")
        plan = plan_chips(Catalog("x", "x", (Place("P", (s2, s1)),), False), SampleSpec())
        (task,) = plan.tasks
        return task.key

    assert key("?v=2") == "5fff676deaaeaf8ca508daef4ec2b01aeebf8e6d4032524362b5cbe56a8727f9"
    assert key("?v=2&st=1&se=2&sig=AAAA") == key("?v=2&st=3&se=4&sig=BBBB") == key("?v=2")
