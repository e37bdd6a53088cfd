"""The addresses of the map: its code and the land, and what `map_answers` sends."""

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from rasterio.errors import RasterioError
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from indexer.errors import QueryError, TableError
from indexer.table.embedding_table import EmbeddingTable

from ..own_ground import PMTILES, TILES, address_of, tile
from ..page_settings import page_settings
from .background import LAND

PREFIX = "/skyhex"
CODE = Path(__file__).parent / "map" / "dist"
ANSWERED = (
    "cells", "similarity", "change", "confidence", "plane", "footprints", "kinds", "card", "picture", "export"
)  # fmt: skip


def routes() -> list[BaseRoute]:
    """The addresses, all under PREFIX."""
    return [
        Route(f"{PREFIX}/land.json", lambda request: FileResponse(LAND)),
        Route(f"{PREFIX}/{PMTILES}", _pmtiles),
        Route(f"{PREFIX}/ground/{{z:int}}/{{x:int}}/{{y:int}}.png", _ground_tile),
        *(Route(f"{PREFIX}/{name}", _answer(name)) for name in ANSWERED),
        Mount(f"{PREFIX}/code", StaticFiles(directory=CODE)),
    ]


def _pmtiles(request: Request) -> Response:
    """The background, by ranges."""
    ground = page_settings().ground
    return FileResponse(ground) if address_of(ground) == PMTILES else _refusal("there is no such background")


def _ground_tile(request: Request) -> Response:
    """A tile of the background."""
    ground = page_settings().ground
    if address_of(ground) != TILES:
        return _refusal("there is no such background")
    try:
        content = tile(Path(ground), *(request.path_params[name] for name in "zxy"))
    except (QueryError, RasterioError) as error:
        return _refusal(str(error))
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@lru_cache(maxsize=4)
def table_at(root: str, snapshot: int) -> EmbeddingTable:
    """The table as the page saw it. Raises `TableError`."""
    return EmbeddingTable.open(root, snapshot)


def _answer(name: str) -> Callable[[Request], Response]:
    """A handler, which Starlette runs on a thread of its own; what cannot be answered is said in one line."""

    def handle(request: Request) -> Response:
        from .map_answers import ANSWERS  # once the page is served: its caches belong to that

        snapshot = request.query_params.get("snapshot", "")
        if not snapshot.isdecimal():
            return _refusal("the address names no snapshot")
        try:
            root = page_settings().find(request.query_params.get("table", ""))
            return ANSWERS[name](request, table_at(root, int(snapshot)))
        except (QueryError, TableError) as error:
            return _refusal(str(error))

    return handle


def _refusal(reason: str) -> Response:
    return Response(reason, HTTPStatus.UNPROCESSABLE_ENTITY, media_type="text/plain")
