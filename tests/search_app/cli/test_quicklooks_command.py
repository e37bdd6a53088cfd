"""Imagery for a table that names none: vectors of one's own over the simulated landscape."""

from pathlib import Path

import numpy as np
import pytest

import skyhex
from data.simulate import simulate
from data.simulate.area import Area
from indexer.table.embedding_table import EmbeddingTable
from search_app.page.quicklook import draw, modalities
from search_app.page.results import subjects

from .test_main import run

AREA = Area("here", 12.0, 48.0, 640.0)


def test_rows_without_imagery_are_shown_by_a_catalogs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = simulate(tmp_path / "t" / "imagery", areas=(AREA,), s2_dates=2, s1_dates=1)
    table = skyhex.write_table(
        tmp_path / "t", np.array([[12.0, 48.0], [40.0, 10.0]]), np.eye(2, 8), period=2023, index=False
    )
    code, _, err = run(monkeypatch, capsys, "quicklooks", str(catalog), "-t", str(tmp_path / "t"))
    assert code == 0
    assert "1 of HR, 1 of S1, 2 of S2" in err
    table = EmbeddingTable.open(tmp_path / "t")
    inside, outside = sorted(subjects(table, table.lookup()), key=lambda subject: not subject.attached)
    assert modalities(inside) == ["hr", "s2", "s1"]
    shown = draw(inside, "s2", 32)
    assert shown.is_drawn
    assert shown.caption.startswith("Sentinel-2 · 2023-")
    assert draw(outside).caption == "Its neighbourhood in false colours of the vectors"
