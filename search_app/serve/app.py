"""The service: routes and what they answer. The work is done by the table's rooms, in threads, in turns."""

import logging
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from indexer.errors import QueryError, TableError
from indexer.index.crew import Searcher
from indexer.search.batch import NamedQueries, search_batch
from indexer.search.changes import changes
from indexer.search.outliers import outliers
from indexer.search.search import Hits, search
from indexer.search.words import column_of, period_of
from indexer.sql.limits import Limits
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable

from . import features, files, tiles
from .answers import Form, answer, form_of
from .bodies import ChangesBody, ManyBody, OutliersBody, SearchBody, SqlBody
from .embedder import Embedder
from .guard import Guard, Rules
from .metrics import Counted, Metrics
from .served import Served
from .turns import Asker, BusyError, GoneError, Turns

MVT = "application/vnd.mapbox-vector-tile"
LEFT = 499  # a status that nobody sees
PROTOTYPES = """
SELECT region_cell, prototype, count(*) AS n_rows, avg(prototype_similarity) AS mean_similarity,
       arg_max(h3_cell, prototype_similarity) AS typical_cell
FROM prototypes WHERE prototype IS NOT NULL GROUP BY ALL ORDER BY region_cell, prototype"""

SQL_LIMITS = Limits(rows=100_000, flags="sql-")

log = logging.getLogger("skyhex.serve")


@dataclass(frozen=True)
class Settings:
    """How much is done at once."""

    rules: Rules = field(default_factory=Rules)
    at_once: int = 4
    in_line: int = 64
    weights: str = "nano"  # of chips and texts
    limits: Limits = SQL_LIMITS
    crew: Searcher | None = None  # of the index


def make_app(place: str, settings: Settings = Settings()) -> Guard:
    """The service of a table. Raises TableError."""
    served, metrics = Served(place), Metrics()
    held: dict[str, Turns] = {}

    @asynccontextmanager
    async def life(app: FastAPI) -> Any:
        held["turns"] = Turns(settings.at_once, settings.in_line)
        yield

    app = FastAPI(title="skyhex", description=__doc__ or "", lifespan=life, docs_url=None, redoc_url=None)

    async def in_turn(request: Request, work: Callable[[Asker], Response]) -> Response:
        return await held["turns"].take(request, work)

    def rows(
        request: Request, f: Form | None, snapshot: int | None, find: Callable[[EmbeddingTable, Asker], Any]
    ) -> Callable[[Asker], Response]:
        form = form_of(request, f)

        def work(asker: Asker) -> Response:
            asker.check()
            table = served.table(snapshot)
            result = find(table, asker)
            said: dict[str, Any] = {"snapshot": table.snapshot}
            if isinstance(result, Hits):
                said |= {"plan": result.plan, "notes": [served.hidden(note) for note in result.notes]}
                result = result.rows
            return answer(result, form, said)

        return work

    @app.exception_handler(QueryError)
    async def wrong(request: Request, error: QueryError) -> Response:
        return _error(LEFT if isinstance(error, GoneError) else 400, served.hidden(str(error)))

    @app.exception_handler(TableError)
    async def unreadable(request: Request, error: TableError) -> Response:
        log.error("%s", error)
        return _error(503, served.hidden(str(error)))

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> Response:
        refusal = _error(429, "too many questions wait already: ask again in a moment")
        refusal.headers["retry-after"] = "1"
        return refusal

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> Response:
        return _error(error.status_code, error.detail)

    @app.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])[:100]
        return _error(422, f"{where or 'the body'}: {first['msg']}"[:500])

    @app.post("/search")
    async def search_rows(request: Request, body: SearchBody, f: Form | None = None) -> Response:
        """The k rows most like what is given, among those that all conditions hold."""

        def find(table: EmbeddingTable, asker: Asker) -> Hits:
            query, filter = body.query(Embedder(table, settings.weights)), body.filter()
            diversity = body.diversity()
            return search(table, query, body.k, filter, body.include_query, diversity, crew=settings.crew)

        return await in_turn(request, rows(request, f, body.snapshot, find))

    @app.post("/search_many")
    async def search_many(request: Request, body: ManyBody, f: Form | None = None) -> Response:
        """What each of many queries finds, in one table whose first column is the query's name."""

        def find(table: EmbeddingTable, asker: Asker) -> Hits:
            embedder = Embedder(table, settings.weights)
            queries = [like.query(embedder) for like in body.queries]
            names = body.names or [str(number) for number in range(1, len(queries) + 1)]
            if len(names) != len(queries):
                raise QueryError(f"{len(names)} names of {len(queries)} queries: expected as many")
            named, filter = NamedQueries(names, queries), body.filter()
            return search_batch(table, named, body.k, filter, body.include_query, crew=settings.crew)

        return await in_turn(request, rows(request, f, body.snapshot, find))

    @app.post("/changes")
    async def changed(request: Request, body: ChangesBody, f: Form | None = None) -> Response:
        """The k places that changed most from one period to another."""

        def find(table: EmbeddingTable, asker: Asker) -> pa.Table:
            periods = period_of(body.before), period_of(body.after)
            return changes(table, *periods, body.k, filter=body.filter(), column=column_of(body.column))

        return await in_turn(request, rows(request, f, body.snapshot, find))

    @app.post("/outliers")
    async def least_like(request: Request, body: OutliersBody, f: Form | None = None) -> Response:
        """The k rows least like any prototype of their region."""

        def find(table: EmbeddingTable, asker: Asker) -> pa.Table:
            return outliers(table, body.k, body.filter())

        return await in_turn(request, rows(request, f, body.snapshot, find))

    @app.post("/sql")
    async def sql(request: Request, body: SqlBody, f: Form | None = None) -> Response:
        """Rows of a SELECT over embeddings, prototypes and regions, within limits."""

        def find(table: EmbeddingTable, asker: Asker) -> pa.Table:
            return answered_sql(table, body.query, settings.limits, asker)

        return await in_turn(request, rows(request, f, body.snapshot, find))

    @app.get("/prototypes")
    async def prototypes(request: Request, f: Form | None = None, snapshot: int | None = None) -> Response:
        """All prototypes: rows of each, and the cell most like it."""

        def find(table: EmbeddingTable, asker: Asker) -> pa.Table:
            return answered_sql(table, PROTOTYPES, settings.limits, asker)

        return await in_turn(request, rows(request, f, snapshot, find))

    @app.get("/table")
    def about(snapshot: int | None = None) -> Mapping[str, Any]:
        """The table's model, resolution and snapshot."""
        table = served.table(snapshot)
        model = vars(table.model) | {"config": dict(table.model.config)}
        return {
            "name": served.name,
            "snapshot": table.snapshot,
            "rows": table.row_count,
            "h3_resolution": table.h3_resolution,
            "simulated": table.simulated,
            "model": model,
            "optional": dict(table.manifest.optional),
        }

    @app.get("/files/{path:path}")
    def file(path: str) -> Response:
        """A file of the table, whole or by ranges."""
        return files.send(served.table(), path)

    @app.get("/listing/{folder:path}")
    def listed(folder: str) -> Response:
        """The files of the table below a folder; below every folder: `all`."""
        return JSONResponse(files.listing(served.table(), folder))

    @app.get("/")
    def landing(request: Request) -> Mapping[str, Any]:
        """What there is."""
        return features.landing(_base(request), served.name)

    @app.get("/conformance")
    def conformance() -> Mapping[str, Any]:
        """Of OGC API - Features."""
        return {"conformsTo": features.CONFORMANCE}

    @app.get("/collections")
    def collections(request: Request) -> Mapping[str, Any]:
        """The table, as the one collection."""
        base = _base(request)
        one = features.collection(base, served.name, served.table())
        return {"collections": [one], "links": [features.link(base, "/collections", "self")]}

    @app.get("/collections/{name}")
    def collection(request: Request, name: str) -> Mapping[str, Any]:
        """The table as a collection."""
        _check_name(name, served)
        return features.collection(_base(request), name, served.table())

    @app.get("/collections/{name}/items")
    async def items(
        request: Request,
        name: str,
        limit: int = 1_000,
        offset: int = 0,
        snapshot: int | None = None,
        bbox: str | None = Query(None, max_length=200),
        datetime: str | None = Query(None, max_length=100),
    ) -> Response:
        """Rows as features, a page of them."""
        _check_name(name, served)
        given = {"bbox": bbox, "datetime": datetime}
        asked = {word: value for word, value in given.items() if value is not None}
        base = _base(request)

        def work(asker: Asker) -> Response:
            page = features.page(served, base, snapshot, asked, limit, offset)
            return JSONResponse(page, media_type=features.GEOJSON)

        return await in_turn(request, work)

    @app.get("/collections/{name}/items/{feature_id:path}")
    async def item(request: Request, name: str, feature_id: str) -> Response:
        """One row as a feature."""
        _check_name(name, served)

        def work(asker: Asker) -> Response:
            feature = features.feature(served.table(), feature_id)
            if feature is None:
                return _error(404, "there is no such row in the newest snapshot")
            return JSONResponse(feature, media_type=features.GEOJSON)

        return await in_turn(request, work)

    @app.get("/tiles/{z}/{x}/{y}.mvt")
    async def vector_tile(request: Request, z: int, x: int, y: int, snapshot: int | None = None) -> Response:
        """Hexagons as a vector tile; layer `cells`, properties `cell` and `rows`."""
        if not (0 <= z <= tiles.MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            raise HTTPException(404, "there is no such tile")

        def work(asker: Asker) -> Response:
            content = tiles.tile(served.table(snapshot), z, x, y)
            return Response(content, media_type=MVT, headers={"cache-control": "max-age=60"})

        return await in_turn(request, work)

    @app.get("/health")
    def health() -> Mapping[str, Any]:
        """Whether the table can be read now."""
        table = served.table()
        return {"status": "ok", "snapshot": table.snapshot, "rows": table.row_count}

    @app.get("/metrics")
    async def measured() -> Response:
        """For Prometheus."""
        return PlainTextResponse(metrics.text(held["turns"]))

    return Guard(Counted(app, metrics), settings.rules)


def answered_sql(table: EmbeddingTable, query: str, limits: Limits, asker: Asker) -> pa.Table:
    """Rows of a SELECT, within limits; it ends when whoever asked has left. Raises QueryError."""
    return run_sql(table, query, limits, asker.check)


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _check_name(name: str, served: Served) -> None:
    if name != served.name:
        raise HTTPException(404, f"there is no collection of that name: this server has {served.name}")


def _error(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status)
