"""What the map fetches equals what the table and the search say."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlencode

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from indexer.prototypes.assignments import read_assignments
from indexer.prototypes.regional import fit_prototypes
from indexer.search.query import Cell, Query
from indexer.search.search import search
from indexer.table.embedding_table import EmbeddingTable
from search_app.page import cached
from search_app.page.map_bytes import code_similarity
from search_app.page.map_routes import PREFIX, routes

from ...tolerance import cosine_error
from ..make_table import CELLS, small_table

CELL = h3.int_to_str(CELLS[7])
CODE_ERROR = 0.5 / 32_767 + cosine_error(16)  # half a step of a code, and two ways to one cosine


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    table = small_table(tmp_path / "t")
    monkeypatch.setenv("SKYHEX_TABLE", str(table.path))
    return table


def ask(table: EmbeddingTable, name: str, **params: object) -> Response:
    """The answer of an address, as the server would send it."""
    handlers = {route.path: route.endpoint for route in routes() if isinstance(route, Route)}
    query = urlencode({"snapshot": table.snapshot, **params}, doseq=True).encode()
    scope = {"type": "http", "method": "GET", "path": name, "query_string": query, "headers": []}
    return handlers[f"{PREFIX}/{name}"](Request(scope))  # type: ignore[no-any-return]


def codes(response: Response) -> np.ndarray:
    return np.frombuffer(response.body, "<u2")


def test_similarities_are_those_of_the_search_at_two_bytes_a_cell(table: EmbeddingTable) -> None:
    answer = codes(ask(table, "similarity", like=CELL))
    assert answer.nbytes == 2 * len(CELLS)
    rows = search(table, Query((Cell(CELLS[7]),)), k=99, include_query=True).rows
    expected = dict(zip(rows["h3_cell"].to_pylist(), rows["similarity"].to_pylist(), strict=True))
    assert code_similarity(answer) == pytest.approx([expected[cell] for cell in CELLS], abs=CODE_ERROR)
    assert answer[7] == answer.max()


def test_what_the_filters_leave_out_has_no_similarity(table: EmbeddingTable) -> None:
    box = "9.99,46.99,10.01,47.01"
    answer = codes(ask(table, "similarity", like=CELL, bbox=box))
    inside = [9.99 <= lon <= 10.01 and 46.99 <= lat <= 47.01 for lat, lon in map(h3.cell_to_latlng, NAMES)]
    assert ((answer > 0) == inside).all()
    unasked = codes(ask(table, "similarity", bbox=box))
    assert set(unasked[unasked > 0].tolist()) == {32_768}


NAMES = [h3.int_to_str(cell) for cell in CELLS]


def test_alone_what_is_not_wanted_turns_the_order_round(table: EmbeddingTable) -> None:
    liked, unliked = codes(ask(table, "similarity", like=CELL)), codes(ask(table, "similarity", unlike=CELL))
    assert code_similarity(unliked) == pytest.approx(-code_similarity(liked), abs=2 * CODE_ERROR)


def test_of_a_table_too_large_to_compare_the_results_alone_have_similarities(
    table: EmbeddingTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "MAX_VECTOR_BYTES", 100)
    answer = codes(ask(table, "similarity", like=CELL, k=4))
    found = search(table, Query((Cell(CELLS[7]),)), k=4).rows["h3_cell"].to_pylist()
    assert sorted(np.array(CELLS)[answer > 0].tolist()) == sorted(found)


def test_an_export_is_what_lies_above_the_threshold(table: EmbeddingTable) -> None:
    answer = codes(ask(table, "similarity", like=CELL))
    least = int(np.sort(answer)[-12])
    above = sorted(name for name, code in zip(NAMES, answer.tolist(), strict=True) if code >= least)
    sent = ask(table, "export", like=CELL, least=least, form="csv")
    lines = list(csv.DictReader(io.StringIO(bytes(sent.body).decode())))
    assert sorted(line["h3_cell"] for line in lines) == above
    area = sum(float(line["area_km2"]) for line in lines)
    assert area == pytest.approx(sum(h3.cell_area(name, "km^2") for name in above), rel=1e-9)
    shapes = json.loads(ask(table, "export", like=CELL, least=least, form="geojson").body)
    assert sorted(feature["properties"]["h3_cell"] for feature in shapes["features"]) == above
    parquet = pq.read_table(
        io.BytesIO(bytes(ask(table, "export", like=CELL, least=least, form="geoparquet").body))
    )
    assert sorted(parquet["h3_cell"].to_pylist()) == above
    assert b"geo" in parquet.schema.metadata


def test_a_card_has_what_is_known_of_a_cell(table: EmbeddingTable) -> None:
    fit_prototypes(table, region_resolution=4)
    table = EmbeddingTable.open(table.path)
    card = json.loads(ask(table, "card", cell=CELL).body)
    lat, lon = h3.cell_to_latlng(CELL)
    assert (card["cell"], card["lon"], card["lat"]) == (CELL, pytest.approx(lon), pytest.approx(lat))
    [line] = card["rows"]
    assert (line["period"], line["dates"], line["pictures"]) == ("2021", "HR 1 · S2 4 · S1 2", [""])
    assert (line["valid_fraction"], line["cloud_fraction"]) == (1.0, 0.0)
    assert line["prototype"].startswith(h3.cell_to_parent(CELL, 4))
    picture = ask(table, "picture", cell=CELL, row=0)
    assert bytes(picture.body).startswith(b"\x89PNG")
    assert unquote(picture.headers["X-Caption"]) == "Its neighbourhood in false colours of the vectors"


def test_each_row_of_a_cell_has_its_own_prototype(table: EmbeddingTable) -> None:
    (rows,) = table.scan()
    later = rows.to_pylist()
    for row, other in zip(later, reversed(rows["embedding"].to_pylist()), strict=True):
        row |= {"start_datetime": datetime(2022, 1, 1, tzinfo=UTC), "embedding": other}
        row["end_datetime"] = datetime(2023, 1, 1, tzinfo=UTC)
    table = table.upsert(pa.Table.from_pylist(later, rows.schema))
    fit_prototypes(table, region_resolution=4)
    table = EmbeddingTable.open(table.path)
    found = read_assignments(table).to_pylist()
    for cell in CELLS:
        own = sorted((row for row in found if row["h3_cell"] == cell), key=lambda row: row["start_datetime"])
        lines = json.loads(ask(table, "card", cell=h3.int_to_str(cell)).body)["rows"]
        said = [f"{h3.int_to_str(row['region_cell'])}/{row['prototype']}" for row in reversed(own)]
        assert [line["period"] for line in lines] == ["2022", "2021"]
        assert [line["prototype"] for line in lines] == said
    assert len({row["prototype"] for row in found}) > 1


def test_kinds_are_those_of_one_region_or_one_prototype(table: EmbeddingTable) -> None:
    assert set(ask(table, "kinds").body) == {255}
    fit_prototypes(table, region_resolution=4)
    table = EmbeddingTable.open(table.path)
    assert 255 not in ask(table, "kinds").body
    region = h3.cell_to_parent(CELL, 4)
    one = np.frombuffer(ask(table, "kinds", prototype=f"{region}/0").body, np.uint8)
    assert 0 < (one != 255).sum() < len(CELLS)


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("cells", {"snapshot": "x"}, "no snapshot"),
        ("cells", {"snapshot": 99}, "snapshot"),
        ("similarity", {"like": "nonsense"}, "not an H3 cell"),
        ("similarity", {"bbox": "1,2"}, "four numbers"),
        ("similarity", {"like": "within:50 50,51 50,51 51"}, "holds no row"),
        ("footprints", {}, "four numbers"),
        ("card", {}, "not an H3 cell"),
        ("card", {"cell": h3.latlng_to_cell(0, 0, 9)}, "has no cell"),
        ("picture", {"cell": CELL, "row": 5}, "row"),
        ("picture", {"cell": CELL, "row": "x"}, "whole number"),
        ("kinds", {"prototype": "abc"}, "not an H3 cell"),
        ("kinds", {"prototype": f"{CELL}/x"}, "whole number"),
        ("export", {"like": CELL, "least": 1, "form": "shp"}, "expected one of"),
        ("export", {"like": CELL, "form": "csv"}, "whole number"),
    ],
)
def test_what_cannot_be_answered_is_said(
    table: EmbeddingTable, name: str, params: dict[str, object], says: str
) -> None:
    answer = ask(table, name, **params)
    assert answer.status_code == 422
    assert says in bytes(answer.body).decode()
