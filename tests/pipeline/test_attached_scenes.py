"""Scenes of a catalog beside rows that name no imagery: those of their place and period, clear ones first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely

from data.grid import PixelGrid
from data.sample import InputError
from data.scene import BandSource, Scene
from indexer.table.embedding_table import EmbeddingTable
from pipeline.attached_scenes import AttachedScenes, attach

from ..indexer.random_rows import MODEL, random_rows

DAY = datetime(2023, 6, 1, tzinfo=UTC)
YEAR = datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
GRID = PixelGrid("EPSG:32632", (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_200_000.0), (100, 100))
PLACE = GRID.footprint()
SCENE = Scene("a", None, "s2", "L2A", (BandSource("B04", "a.tif", 3),), GRID, DAY, DAY, DAY)


@pytest.fixture
def table(tmp_path: Path) -> EmbeddingTable:
    return EmbeddingTable.create(tmp_path, MODEL, h3_resolution=9).upsert(random_rows(5))


def shown(table: EmbeddingTable, at: shapely.Geometry = PLACE) -> list[tuple[str, str, float | None]]:
    scenes = AttachedScenes.of(table)
    assert scenes is not None
    return [(one.modality, one.bands[0].href, one.cloud_percent) for one in scenes.shown(at, *YEAR)]


def scene(href: str, cloud: float | None = None, day: datetime | None = DAY, **changes: object) -> Scene:
    given = {"bands": (BandSource("B04", href, 1),), "cloud_percent": cloud, "date": day, **changes}
    return replace(SCENE, **given, start=day or DAY, end=day or DAY + timedelta(days=20))  # type: ignore[arg-type]


def test_a_row_is_shown_by_the_clearest_of_its_period(table: EmbeddingTable) -> None:
    clouds = (30.0, 5.0, None, 80.0, 1.0, 60.0)
    scenes = [scene(f"{cloud}.tif", cloud) for cloud in clouds]
    scenes += [scene("old.tif", 0.0, YEAR[0] - timedelta(days=1)), scene("new.tif", 0.0, YEAR[1])]
    after, count = attach(table, [*scenes, scene("radar.tif", modality="s1")])
    assert count == {"s1": 1, "s2": 8}
    expected = [("s2", f"{cloud}.tif", cloud) for cloud in (1.0, 5.0, 30.0, 60.0)]
    assert shown(after) == [*expected, ("s1", "radar.tif", None)]
    assert shown(after, shapely.Point(100, 10)) == []


def test_what_was_attached_is_kept_whole_and_replaced_by_what_is_attached_next(table: EmbeddingTable) -> None:
    first, _ = attach(table, [scene("a.tif", day=None, offset=-1000, scale=2e-4)])
    scenes = AttachedScenes.of(EmbeddingTable.open(table.path))
    assert scenes is not None
    (one,) = scenes.shown(PLACE, *YEAR)
    assert (one.offset, one.scale, one.date) == (-1000, 2e-4, "2023-06-01 to 2023-06-21")
    assert one.bands == (BandSource("B04", "a.tif", 1),)
    second, _ = attach(first, [scene("b.tif")])
    assert [href for _, href, _ in shown(second)] == ["b.tif"]
    assert second.validate() == []
    assert np.array_equal(second.lookup()["h3_cell"], table.lookup()["h3_cell"])


def test_nothing_to_show_is_said(table: EmbeddingTable) -> None:
    assert AttachedScenes.of(table) is None
    with pytest.raises(InputError, match="no scene that can be shown"):
        attach(table, [replace(SCENE, bands=())])
