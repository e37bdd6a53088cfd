"""One answer, four forms: JSON, GeoJSON, GeoParquet, and an Arrow stream that carries what was said of it."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
from fastapi import Request, Response

from indexer.table.row_stream import packed

from ..form import Format
from ..output import encode, records

Form = Literal["json", "geojson", "geoparquet", "arrow"]
MEDIA: dict[Form, str] = {
    "json": "application/json",
    "geojson": "application/geo+json",
    "geoparquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
SAID = b"skyhex"  # metadata of an Arrow answer: plan, notes and snapshot as JSON


def form_of(request: Request, asked: Form | None) -> Form:
    """The form that `f` names, or the first that the caller accepts; JSON otherwise."""
    if asked is not None:
        return asked
    accepted = [media.split(";")[0].strip() for media in request.headers.get("accept", "").split(",")]
    return next((form for media in accepted for form, known in MEDIA.items() if media == known), "json")


def answer(rows: pa.Table, form: Form, said: Mapping[str, Any]) -> Response:
    """Rows in a form; `said`: plan, notes, snapshot. Raises QueryError: a map form of rows without cells."""
    headers = {"x-skyhex-snapshot": str(said["snapshot"]), "cache-control": "no-store"}
    if form == "json":
        content = json.dumps({"rows": records(rows), **said}, default=str).encode()
    elif form == "arrow":
        content = packed(rows.replace_schema_metadata({SAID: json.dumps(said).encode()})).to_pybytes()
    else:
        content = encode(rows, Format(form))
    return Response(content, media_type=MEDIA[form], headers=headers)
