"""A simulated square, its plan, and a Ray that tests share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely

from data.cover import Plan, plan_area
from data.simulate import Area, simulate
from data.stac import read_catalog
from encoder.loading import load_encoder
from encoder.protocol import AnyEncoder
from indexer.table.embedding_table import EmbeddingTable
from pipeline import embed_job
from pipeline.embed_job import EmbedReport, embed_plan
from pipeline.on_ray.shares import Shares
from pipeline.on_ray.start import ray_engine

WEIGHTS = "statistics"  # of pixels: exact whatever a batch is made of, and quick


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("ray") is None:
        skip = pytest.mark.skip(reason="Ray is not here: make test-ray")
        for item in items:
            if "engine" in getattr(item, "fixturenames", ()) or item.get_closest_marker("ray"):
                item.add_marker(skip)


@dataclass(frozen=True)
class Job:
    """A plan, and whoever embeds it in this process."""

    plan: Plan
    encoder: AnyEncoder

    def run(self, table: Path, **options: Any) -> EmbedReport:
        given = {"h3_resolution": 9, "simulated": True, "workers": 0, **options}
        return embed_plan(self.plan, self.encoder, table, **given)


def rows(table: EmbeddingTable) -> pa.Table:
    """All columns of all rows, in order of their names."""
    return pa.Table.from_batches(list(table.scan())).sort_by("sample_id")


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty-six cells."""
    folder = tmp_path_factory.mktemp("imagery")
    return simulate(folder, areas=(Area("here", 10.0, 47.0, 2600),), s2_dates=2, s1_dates=1)


@pytest.fixture(scope="session")
def job(catalog: Path) -> Job:
    found = read_catalog(str(catalog))
    encoder = load_encoder(WEIGHTS)
    area = shapely.union_all([scene.footprint for scene in found.scenes])
    return Job(plan_area(found, encoder.spec, area, h3_resolution=9), encoder)


@pytest.fixture(scope="session")
def area(catalog: Path) -> Path:
    """What the plan of `job` covers, as a file."""
    whole = shapely.union_all([scene.footprint for scene in read_catalog(str(catalog)).scenes])
    path = catalog.parent.parent / "area.geojson"
    path.write_text(shapely.to_geojson(whole))
    return path


@pytest.fixture(scope="session")
def engine(job: Job) -> Iterator[Any]:
    """On a Ray of its own, in which three may decode at once, or two beside another encoder."""
    with ray_engine(partial(load_encoder, WEIGHTS), job.encoder.info.digest, workers=3) as made:
        yield made


@pytest.fixture
def another(engine: Any) -> Callable[..., Any]:
    """One more engine on that Ray, with another encoder, which ends with it."""
    from pipeline.on_ray.engine import RayEngine

    def begin(make_encoder: Callable[[], AnyEncoder], cpus: int = 1) -> Any:
        return RayEngine(make_encoder, engine.digest, Shares(1, cpus, 0.0), lambda: 1)

    return begin


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_job, "CHUNK_MIN", 4)
    monkeypatch.setattr(embed_job, "CHUNK_MAX", 8)


@pytest.fixture(scope="session")
def here(job: Job, tmp_path_factory: pytest.TempPathFactory) -> EmbeddingTable:
    """What this process makes, with finer cells beside it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(embed_job, "CHUNK_MIN", 4)
        monkeypatch.setattr(embed_job, "CHUNK_MAX", 8)
        return job.run(tmp_path_factory.mktemp("here"), granularity=10).table
