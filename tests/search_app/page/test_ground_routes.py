"""The page's own background at its addresses: tiles of a GeoTIFF, a PMTiles file, nothing without one."""

from pathlib import Path

import numpy as np
import pytest
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Match, Route

from search_app.page.map_routes import PREFIX, routes
from search_app.page_settings import PageSettings

from ..test_own_ground import geotiff, tile_at


def tell(monkeypatch: pytest.MonkeyPatch, ground: Path | str) -> None:
    for name, value in PageSettings(("table",), ground=str(ground)).to_environment().items():
        monkeypatch.setenv(name, value)


def ask(path: str) -> Response:
    """The answer of an address, as the server would send it."""
    scope = {"type": "http", "method": "GET", "path": f"{PREFIX}/{path}", "query_string": b"", "headers": []}
    for route in routes():
        match, found = route.matches(scope)
        if match is Match.FULL and isinstance(route, Route):
            return route.endpoint(Request({**scope, **found}))  # type: ignore[no-any-return]
    raise LookupError(path)


def test_a_geotiff_is_cut_into_tiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tell(monkeypatch, geotiff(tmp_path / "a.tif", np.full((3, 200, 200), 90, np.uint8)))
    here = "/".join(map(str, tile_at(9.0, 46.9, 10)))
    answer = ask(f"ground/{here}.png")
    assert answer.media_type == "image/png"
    assert bytes(answer.body).startswith(b"\x89PNG")
    assert ask("ground/2/9/9.png").status_code == 422
    assert ask("ground.pmtiles").status_code == 422


def test_pmtiles_are_given_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tell(monkeypatch, tmp_path / "a.pmtiles")
    answer = ask("ground.pmtiles")
    assert isinstance(answer, FileResponse)
    assert answer.path == str(tmp_path / "a.pmtiles")
    assert ask("ground/0/0/0.png").status_code == 422


def test_without_a_background_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, "")
    assert ask("ground/0/0/0.png").status_code == 422
    assert ask("ground.pmtiles").status_code == 422
