"""`skyhex app --device`: the page's questions are answered there."""

import sys
from pathlib import Path

import pytest

from indexer.index.faiss_index import build_index
from pipeline.on_device.searcher import kept_on_device
from search_app.cli import launch
from search_app.cli import main as cli
from search_app.page.finding import find
from search_app.page.url_state import View
from search_app.page_settings import PageSettings

from ..make_table import CELLS, small_table


def test_the_page_asks_the_device_that_the_app_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = small_table(tmp_path / "t")
    build_index(table)
    question = View(like=(f"{CELLS[0]:x}",)).question
    here = find(table, question)
    for name, value in PageSettings(str(table.path), device="cpu").to_environment().items():
        monkeypatch.setenv(name, value)
    find.clear()
    there = find(table, question)
    kept_on_device.cache_clear()
    find.clear()
    assert here is not None
    assert there is not None
    assert there.rows == here.rows
    assert there.plan == here.plan.replace("exact over", "exact on cpu over")


@pytest.mark.parametrize(("words", "device"), [((), ""), (("--device", "cpu"), "cpu")])
def test_the_app_tells_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], device: str
) -> None:
    told: list[PageSettings] = []
    monkeypatch.setattr(launch, "run_app", lambda settings, **_: told.append(settings))
    monkeypatch.setattr(sys, "argv", ["skyhex", "app", "-t", str(small_table(tmp_path / "t").path), *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    assert [settings.device for settings in told] == [device]


def test_the_app_does_not_begin_on_a_device_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "run_app", lambda *_, **__: pytest.fail("it began"))
    words = ["app", "-t", str(small_table(tmp_path / "t").path), "--device", "cuda:99"]
    monkeypatch.setattr(sys, "argv", ["skyhex", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert " ".join(capsys.readouterr().err.split()).startswith("error device 'cuda:99': ")
