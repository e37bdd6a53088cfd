"""What the map of changes is sent, against a plain loop; and the code that gives the same rows."""

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import h3
import numpy as np
import pyarrow as pa
import pytest

from indexer.table.columns import to_matrix, unit
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import KEY
from search_app.page.as_code import code_of
from search_app.page.changed import change_codes, greatest_changes, sides_of, through_time
from search_app.page.map_bytes import code_similarity
from search_app.page.question import conditions_of
from search_app.page.url_state import View, read_view

from ...tolerance import cosine_error
from ..make_table import CELLS, small_table
from .test_map_answers import ask, codes

CELL = h3.int_to_str(CELLS[7])
ASKED = View(before="2021", after="2023")
CODE_ERROR = 0.5 / 32_767 + cosine_error(16)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingTable:
    table = small_table(tmp_path / "t", years=(2021, 2022, 2023))
    monkeypatch.setenv("SKYHEX_TABLE", str(table.path))
    return table


def expected_changes(table: EmbeddingTable, years: tuple[int, int]) -> np.ndarray:
    """1 - cosine (n,) of each cell's rows of two years, in order of cell."""
    rows = pa.Table.from_batches(table.scan(["start_datetime", "h3_cell", "embedding"]))
    year = np.array([start.year for start in rows["start_datetime"].to_pylist()])
    before, after = (unit(to_matrix(rows["embedding"]))[year == number] for number in years)
    return np.asarray(1 - np.einsum("nd,nd->n", before, after))


def test_every_cell_has_its_change_at_two_bytes(table: EmbeddingTable) -> None:
    sent = codes(ask(table, "change", before="2021", after="2023"))
    assert 1 + code_similarity(sent) == pytest.approx(expected_changes(table, (2021, 2023)), abs=CODE_ERROR)
    boxed = View(before="2021", after="2022", bbox=(9.99, 46.99, 10.01, 47.01))
    inside = [9.99 <= lon <= 10.01 and 46.99 <= lat <= 47.01 for lat, lon in map(h3.cell_to_latlng, NAMES)]
    assert ((np.frombuffer(change_codes(table, boxed), "<u2") > 0) == inside).all()
    never = codes(ask(table, "change", before="2021", after="2030"))
    assert set(never.tolist()) == {0}


def test_an_export_of_changes_is_what_lies_above_the_threshold(table: EmbeddingTable) -> None:
    sent = codes(ask(table, "change", before="2021", after="2023"))
    least = int(np.sort(sent)[-9])
    asked = {"before": "2021", "after": "2023", "least": least, "measure": "change", "form": "csv"}
    lines = list(csv.DictReader(io.StringIO(bytes(ask(table, "export", **asked).body).decode())))
    change = dict(zip(NAMES, expected_changes(table, (2021, 2023)), strict=True))
    assert {line["h3_cell"] for line in lines} == set(sorted(change, key=lambda name: -change[name])[:9])
    for line in lines:
        assert float(line["change"]) == pytest.approx(change[line["h3_cell"]], abs=CODE_ERROR + 5e-6)
    refused = ask(table, "export", least=1, form="csv", measure="size")
    assert refused.status_code == 422
    assert "similarity or change" in bytes(refused.body).decode()


def test_the_list_has_the_rows_of_both_sides(table: EmbeddingTable) -> None:
    rows = greatest_changes(table, ASKED, 5)
    change = dict(zip(CELLS, expected_changes(table, (2021, 2023)), strict=True))
    assert rows["h3_cell"].to_pylist() == sorted(change, key=lambda cell: -change[cell])[:5]
    before, after = sides_of(table, rows)
    for side, year in ((before, 2021), (after, 2023)):
        assert side["h3_cell"].to_pylist() == rows["h3_cell"].to_pylist()
        assert {start.year for start in side["start_datetime"].to_pylist()} == {year}


def test_a_cell_goes_through_time(table: EmbeddingTable) -> None:
    found, rows = through_time(table, CELLS[7])
    assert [row["start_datetime"].year for row in found.to_pylist()] == [2021, 2022, 2023]
    assert rows.select(list(KEY)).equals(found.select(list(KEY)))
    changes = [expected_changes(table, years)[7] for years in ((2021, 2022), (2022, 2023), (2021, 2023))]
    assert found["change"].to_pylist()[1:] == pytest.approx(changes[:2], abs=cosine_error(16))
    assert found["since_first"].to_pylist()[2] == pytest.approx(changes[2], abs=cosine_error(16))


def test_a_card_begins_with_the_period_of_its_map(table: EmbeddingTable) -> None:
    for period, row in (("2023", 0), ("2022", 1), ("2021", 2), ("", 0), ("1999", 0)):
        card = json.loads(ask(table, "card", cell=CELL, period=period).body)
        assert card["row"] == row
        assert [line["period"] for line in card["rows"]] == ["2023", "2022", "2021"]


def test_command_line_and_python_give_the_rows_of_the_page(
    table: EmbeddingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = "within:9.99 46.99,10.02 46.99,10.02 47.01,9.99 47.005"
    view, _ = read_view({"before": ["2021"], "after": ["2023"], "within": [shape], "k": ["6"]})
    expected = greatest_changes(table, view.comparison, view.k)
    assert 0 < len(expected) <= 6
    words = {"before": view.before, "after": view.after, "k": view.k, **conditions_of(view)}
    code = code_of("changes", table, words)
    [(name, content)] = code.files.items()
    (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    local: dict[str, pa.Table] = {}
    exec(code.python, local)
    assert local["found"].equals(expected)
    program = [sys.executable, "-m", "search_app.cli.main", *shlex.split(code.command)[1:], "--format", "csv"]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        program, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": root}, check=True
    )
    lines = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [line["h3_cell"] for line in lines] == [
        h3.int_to_str(cell) for cell in expected["h3_cell"].to_pylist()
    ]


NAMES = [h3.int_to_str(cell) for cell in CELLS]
