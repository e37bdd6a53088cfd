"""`skyhex embed` against a STAC API and a server of files on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from typer.testing import CliRunner

from data import raster, web
from data.access import UnreachableError
from data.sample import InputError
from encoder.checkpoint import CheckpointError
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli.main import app

from ...data.conftest import TinyCatalog
from ...data.servers import Served, api, serving

BOX = ("10.409", "50.539", "10.419", "50.542")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A STAC API whose items name files on itself by addresses with signatures."""
    monkeypatch.setattr(web, "_silent", {})
    monkeypatch.setattr(web, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(raster, "LEFT_ALONE", 0)
    raster._kept.clear()
    tiny = TinyCatalog(tmp_path / "catalog")
    for month in (1, 4, 7):
        tiny.add("s2", f"m{month}", date=f"2020-0{month}-01T10:00:00Z", shape=(80, 80))
    with serving(tiny.folder) as server:
        items = [json.loads((tiny.folder / name / f"{name}.json").read_text()) for name in tiny.items]
        for item in items:
            item["assets"]["data"]["href"] = f"{server.url}/{item['id']}/{item['id']}.tif?sig=SECRET&se=9"
            item["bbox"] = [10.4, 50.5, 10.43, 50.55]
            item["geometry"] = shapely.geometry.mapping(shapely.box(*item["bbox"]))
        server.pages = api(items, post=True)
        yield server


def embed(served: Served, table: Path, *more: str) -> Any:
    words = ["embed", f"{served.url}/", "--collections", "sentinel-2-l2a", "--bbox", *BOX, "-t", str(table)]
    return CliRunner().invoke(app, [*words, "--workers", "0", "--no-index", *more])


def files(served: Served) -> int:
    return sum(".tif" in request for request in served.requests)


def test_a_search_is_embedded_and_the_same_command_goes_on(served: Served, tmp_path: Path) -> None:
    table = tmp_path / "t"
    dry = embed(served, table, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "requests for" in dry.stderr
    assert not table.exists()
    served.fault = lambda handler, number: "m4.tif" in handler.path and handler.give(503) is None
    first = embed(served, table, "--wait", "1")
    assert isinstance(first.exception, UnreachableError)  # every sample wants that file
    assert not EmbeddingTable.open(table).input_keys
    served.fault = lambda handler, number: False
    second = embed(served, table)
    assert second.exit_code == 0, second.output
    rows = EmbeddingTable.open(table)
    assert rows.row_count > 0
    sources = next(rows.scan(["source_items"]))["source_items"].to_pylist()
    assert all(len(items) == 3 for items in sources)
    asked = files(served)
    assert embed(served, table).exit_code == 0
    assert files(served) == asked
    everything = b"".join(path.read_bytes() for path in table.rglob("*") if path.is_file())
    assert b"SECRET" not in everything
    assert "SECRET" not in str(sources) + first.output + second.output + first.stderr + second.stderr


def test_what_is_unfinished_is_named_and_the_exit_code_says_so(served: Served, tmp_path: Path) -> None:
    assert embed(served, tmp_path / "t", "--end", "2020-03-01").exit_code == 0
    served.fault = lambda handler, number: "m4.tif" in handler.path and handler.give(503) is None
    raster._kept.clear()
    found = embed(served, tmp_path / "t", "--period", "month", "--wait", "1")
    assert found.exit_code == 3, found.output
    assert "unfinished" in found.stderr
    assert "m4.tif cannot be read now: HTTP 503" in found.stderr


def test_items_that_name_an_inner_host_need_it_allowed(served: Served, tmp_path: Path) -> None:
    with serving(served.folder) as inner:
        pages = served.pages

        def elsewhere(handler: Any) -> Any:
            text = json.dumps(pages(handler))
            return json.loads(text.replace(f"{served.url}/m", f"{inner.url}/m"))

        served.pages = elsewhere
        refused = embed(served, tmp_path / "t")
        assert isinstance(refused.exception, InputError)
        assert inner.requests == []
        assert "--allow-host" in (tmp_path / "t" / "skipped.json").read_text()
        host = inner.url.removeprefix("http://")
        assert embed(served, tmp_path / "t", "--allow-host", host).exit_code == 0
        assert inner.requests


def test_a_size_without_trained_weights_is_asked_for_by_a_flag(tmp_path: Path) -> None:
    words = ["embed", str(tmp_path / "no catalog"), "--chips", "-t", str(tmp_path / "t"), "--weights", "huge"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, CheckpointError)
    assert "no trained weights of the size 'huge'" in str(refused.exception)
    assert "--untrained" in str(refused.exception)
    asked = CliRunner().invoke(app, [*words, "--untrained"])
    assert isinstance(asked.exception, InputError)  # of the catalog, which comes next
