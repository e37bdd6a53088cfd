"""A table that another machine serves (`skyhex serve`), asked in the same words as one that is here.

Areas and vectors travel as contents. What writes, or reads the table's files, is not to be had.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import urllib3

from ..area_files import read_area
from ..errors import QueryError, TableError
from ..geo.cells import cell_to_text
from ..table.bucket_access import check_private
from ..table.schema import ModelInfo
from .batch import NamedQueries
from .query import Cell, LonLat, Query, Vector
from .search import Hits
from .words import COLUMNS

ARROW = "application/vnd.apache.arrow.stream"
SAID = b"skyhex"
WAIT = urllib3.Timeout(connect=10.0, read=300.0)
MAX_ANSWER_BYTES = 1 << 30
WORD_OF = {column: word for word, column in COLUMNS.items()}


class ServedTable:
    """One snapshot of a table behind an address. SKYHEX_TOKEN is the token that is sent."""

    def __init__(self, url: str, snapshot: int | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = os.environ.get("SKYHEX_TOKEN")
        check_private(self.url, self._token)
        self._pool = urllib3.PoolManager(timeout=WAIT, retries=False)
        asked = "" if snapshot is None else f"?snapshot={snapshot}"
        self._about: Mapping[str, Any] = json.loads(self._ask("GET", f"/table{asked}", "application/json"))
        self.snapshot = int(self._about["snapshot"])

    def __repr__(self) -> str:
        return f"<ServedTable {self.url} snapshot {self.snapshot}: {self.row_count} rows>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise TableError(f"{self.url} is served: it is only asked there, and {name!r} needs the table itself")

    @cached_property
    def model(self) -> ModelInfo:
        """What made its vectors."""
        return ModelInfo(**self._about["model"])

    @property
    def row_count(self) -> int:
        return int(self._about["rows"])

    @property
    def dimension(self) -> int:
        return self.model.dimension

    @property
    def h3_resolution(self) -> int:
        return int(self._about["h3_resolution"])

    @property
    def simulated(self) -> bool:
        return bool(self._about["simulated"])

    def search(self, query: Query, conditions: Mapping[str, Any], **words: Any) -> Hits:
        """As `skyhex.search`."""
        return self._hits("/search", {**_query_words(query), **_plain(conditions), **words})

    def search_many(self, named: NamedQueries, conditions: Mapping[str, Any], **words: Any) -> Hits:
        """As `skyhex.search_many`."""
        queries = [_query_words(query) for query in named.queries]
        return self._hits(
            "/search_many", {"queries": queries, "names": list(named.names), **_plain(conditions), **words}
        )

    def rows(self, path: str, words: Mapping[str, Any]) -> pa.Table:
        """What an address answers to words, as an Arrow table. Raises QueryError, TableError."""
        content = self._ask("POST", path, ARROW, {**words, "snapshot": self.snapshot})
        return pa.ipc.open_stream(content).read_all()

    def prototypes(self) -> pa.Table:
        """All prototypes: rows of each, and the cell most like it."""
        path = f"/prototypes?snapshot={self.snapshot}"
        return pa.ipc.open_stream(self._ask("GET", path, ARROW)).read_all()

    def asked(self, path: str, conditions: Mapping[str, Any], **words: Any) -> pa.Table:
        """`rows` under conditions as `skyhex.search` takes them."""
        return self.rows(path, {**_plain(conditions), **words})

    def _hits(self, path: str, words: Mapping[str, Any]) -> Hits:
        rows = self.rows(path, words)
        said = json.loads(rows.schema.metadata[SAID])
        return Hits(rows.replace_schema_metadata(None), said["plan"], tuple(said["notes"]))

    def _ask(self, method: str, path: str, accept: str, body: Mapping[str, Any] | None = None) -> bytes:
        headers = {"accept": accept}
        content = None
        if body is not None:
            given = {name: value for name, value in body.items() if value is not None}
            content = json.dumps(given, allow_nan=False).encode()
            headers["content-type"] = "application/json"
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        try:
            answer = self._pool.request(method, f"{self.url}{path}", body=content, headers=headers)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise TableError(f"{self.url} does not answer ({type(error).__name__}): is it served?") from error
        if answer.status == 200:
            return answer.data
        raise _refusal(self.url, answer.status, answer.data)


def _refusal(url: str, status: int, content: bytes) -> QueryError | TableError:
    try:
        reason = str(json.loads(content)["error"])
    except (KeyError, TypeError, ValueError):
        reason = f"status {status}"
    if status in (400, 413, 422):
        return QueryError(reason)
    help = ": set SKYHEX_TOKEN" if status == 401 else ""
    return TableError(f"{url} refuses: {reason}{help}")


def _query_words(query: Query) -> dict[str, Any]:
    return {
        **_example_words("", query.positives),
        **_example_words("not_", query.negatives),
        "using": WORD_OF.get(query.using, query.using),
        "against": WORD_OF.get(query.against, query.against),
        "match": query.match,
        "negative_weight": query.negative_weight,
        **({"invert": True} if query.invert else {}),  # a word that servers before it do not know
    }


def _example_words(prefix: str, examples: Iterable[Any]) -> dict[str, Any]:
    words: dict[str, list[Any]] = {"cell": [], "lonlat": [], "vector": []}
    for example in examples:
        match example:
            case Cell(cell):
                words["cell"].append(cell_to_text(cell))
            case LonLat(lon_deg, lat_deg):
                words["lonlat"].append([lon_deg, lat_deg])
            case Vector(values):
                words["vector"].append(np.asarray(values, np.float64).tolist())
    return {f"{prefix}{word}": values for word, values in words.items() if values}


def _plain(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions as JSON: files are read here, dates are written out."""
    plain = {name: _value(value) for name, value in conditions.items() if value is not None}
    within = conditions.get("within")
    if within is not None:
        held = getattr(within, "__geo_interface__", within)
        plain["within"] = held if isinstance(held, Mapping) else read_area(held)
    return plain


def _value(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence | np.ndarray | set) and not isinstance(value, str):
        return [_value(one) for one in value]
    return str(value) if isinstance(value, Path) else value
