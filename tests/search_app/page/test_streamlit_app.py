"""The page, run without a browser."""

import subprocess
import sys
from pathlib import Path

import h3
import pytest
from streamlit.testing.v1 import AppTest

from indexer.prototypes.regional import fit_prototypes
from indexer.search.filter import Filter, Region
from indexer.search.outliers import outliers
from indexer.sql.limits import Limits
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable
from search_app.cli.launch import ROOT, SCRIPT
from search_app.page.url_state import View
from search_app.page_settings import PageSettings

from ..make_table import CELLS, MODEL, small_table

CELL = h3.int_to_str(CELLS[20])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = small_table(tmp_path_factory.mktemp("app") / "valley").path
    fit_prototypes(EmbeddingTable.open(path), region_resolution=4)
    return path


def page(monkeypatch: pytest.MonkeyPatch, table: Path, **params: str | list[str]) -> AppTest:
    """The page after its first run."""
    monkeypatch.setenv("SKYHEX_TABLE", str(table))
    app = AppTest.from_file(str(SCRIPT.with_name("streamlit_app.py")), default_timeout=90)
    for name, value in params.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def link(app: AppTest) -> dict[str, str | list[str]]:
    """The parameters of the page's link; of a list of one, that."""
    view: View = app.session_state["view"]
    params = view.to_params()
    return {name: value[0] if len(value) == 1 else value for name, value in params.items()}


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.caption, *app.error, *app.info))


def test_the_first_page_says_what_the_table_is(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table)
    shown = texts(app)
    assert "valley" in shown
    assert f"{len(CELLS)} rows" in shown
    assert "untrained" in shown
    assert "simulated" not in shown
    assert "Where else does it look like this?" in shown


def test_a_link_with_a_cell_shows_its_results(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=CELL, k="7")
    [frame] = app.dataframe
    assert len(frame.value) == 7
    assert CELL not in frame.value["cell"].tolist()
    assert "7 most similar" in texts(app)
    assert f"of {len(CELLS)} rows" in texts(app)  # the plan


def test_a_typed_place_is_searched_and_kept_in_the_link(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table)
    app.text_input(key="place").input("10.0, 47.0").run()
    assert link(app)["like"] == "10,47"
    assert len(app.dataframe[0].value) == 20
    app.text_input(key="place").input("somewhere").run()
    assert "not an H3 cell" in texts(app)
    assert link(app)["like"] == "10,47"


def test_a_place_is_dropped_by_its_button(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=CELL)
    app.button(key=f"drop like {CELL}").click().run()
    assert "like" not in link(app)
    assert "Where else" in texts(app)


def test_the_slider_and_the_filters_change_the_results(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=CELL)
    app.slider(key="k").set_value(3).run()
    assert len(app.dataframe[0].value) == 3
    app.text_input(key="box").input("9.995 46.995 10.01 47.01").run()
    assert link(app)["bbox"] == "9.995,46.995,10.01,47.01"
    assert all(9.995 <= lon <= 10.01 for lon in app.dataframe[0].value["lon"])
    app.text_input(key="box").input("1 2").run()
    assert "four numbers" in texts(app)


def test_a_filter_that_nothing_passes_says_so(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, like=CELL, bbox="100,10,101,11")
    assert "Nothing matches the filters" in texts(app)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"like": "nonsense"}, "not an H3 cell"),
        ({"like": h3.latlng_to_cell(0, 0, 9)}, "has no cell"),
        ({"like": CELL, "start": "2022-01-01", "end": "2021-01-01"}, "start before the end"),
    ],
)
def test_a_mistake_in_a_link_is_explained_on_the_page(
    monkeypatch: pytest.MonkeyPatch, table: Path, params: dict[str, str], says: str
) -> None:
    app = page(monkeypatch, table, **params)
    assert any(says in error.value for error in app.error)


def test_a_reload_of_a_link_that_cannot_be_read_keeps_the_rest(
    monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    app = page(monkeypatch, table, like=CELL, k="lots")
    assert "k=lots" in app.toast[0].value
    assert len(app.dataframe[0].value) == 20


def test_prototypes_have_shares_and_can_be_searched(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, tab="prototypes")
    frame = app.dataframe[0].value
    assert frame["share"].sum() == pytest.approx(1)
    assert frame["rows"].sum() == len(CELLS)
    region = app.selectbox(key="prototype region").value
    app = page(monkeypatch, table, tab="prototypes", prototype=f"{region}/1")
    next(button for button in app.button if button.label == "Search like this prototype").click().run()
    assert link(app)["like"] == f"prototype:{region}/1"
    assert "20 most similar" in texts(app)


def run_typed(app: AppTest, statement: str) -> AppTest:
    app.text_area(key="sql text").input(statement).run()
    return next(button for button in app.button if button.label == "Run").click().run()


def test_sql_is_answered_in_whole(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, tab="sql")
    run_typed(app, "SELECT h3_cell FROM embeddings ORDER BY h3_cell LIMIT 2")
    assert app.dataframe[0].value["h3_cell"].tolist() == [h3.int_to_str(cell) for cell in CELLS[:2]]
    assert len(run_typed(app, "SELECT * FROM range(5000)").dataframe[0].value) == 5000


@pytest.mark.parametrize(
    ("statement", "says"),
    [("DROP TABLE embeddings", "SELECT"), ("SELECT nothing FROM embeddings", "nothing")],
)
def test_a_wrong_statement_is_explained(
    monkeypatch: pytest.MonkeyPatch, table: Path, statement: str, says: str
) -> None:
    app = run_typed(page(monkeypatch, table, tab="sql"), statement)
    assert any(says in error.value for error in app.error)


def test_limits_of_the_page_name_their_flags(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    limits = Limits(timeout_s=1, rows=100, flags="sql-")
    for name, value in PageSettings((str(table),), limits=limits).to_environment().items():
        monkeypatch.setenv(name, value)
    app = run_typed(page(monkeypatch, table, tab="sql"), "FROM range(101)")
    assert "more than 100 rows" in app.error[0].value
    assert "sql-rows" in app.error[0].value
    run_typed(app, "SELECT count(*) FROM range(100000000000) a, range(1000) b WHERE a.range % 7 = b.range")
    assert "stopped after 1 s" in app.error[0].value


def test_a_link_fills_the_editor_and_runs_nothing(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    statement = "SELECT 6 * 7 AS answer"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search_app.page.sql_panel.run_sql", lambda *args: pytest.fail("a link ran SQL"))
        app = page(monkeypatch, table, tab="sql", sql=statement)
        app.run()
    assert app.text_area(key="sql text").value == statement
    assert "was not run here" in texts(app)
    app = next(button for button in app.button if button.label == "Run").click().run()
    assert app.dataframe[0].value["answer"].tolist() == [42]


def test_every_example_query_runs(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    from search_app.page.sql_panel import EXAMPLES

    for query in EXAMPLES.values():
        assert run_sql(EmbeddingTable.open(table), query).num_rows > 0


def test_an_empty_table_says_how_to_fill_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    EmbeddingTable.create(tmp_path / "empty", MODEL, h3_resolution=9, simulated=True)
    app = page(monkeypatch, tmp_path / "empty")
    assert "skyhex embed" in texts(app)
    assert "simulated" in texts(app)


def test_a_missing_table_is_an_error_on_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = page(monkeypatch, tmp_path / "nowhere")
    assert "nowhere" in app.error[0].value


def test_a_table_of_one_period_says_what_comparing_takes(
    monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    app = page(monkeypatch, table, tab="change")
    assert "one period, 2021" in texts(app)
    assert "skyhex embed" in texts(app)


def test_changes_are_listed_and_written_as_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    years = small_table(tmp_path / "years", years=(2021, 2023)).path
    app = page(monkeypatch, years, tab="change", k="5")
    frame = app.dataframe[0].value
    assert frame["change"].is_monotonic_decreasing
    assert (frame["from"].tolist(), frame["to"].tolist()) == (["2021"] * 5, ["2023"] * 5)
    command, python = (block.value for block in app.code)
    assert command == f"skyhex changes -t {years} --before 2021 --after 2023 -k 5"
    assert f"skyhex.changes(\n    {str(years)!r},\n    before='2021',\n    after='2023',\n    k=5," in python
    app.selectbox(key="before").select("2023").run()
    assert link(app)["before"] == "2023"
    assert "No place has a row in both" in texts(app)
    wrong = page(monkeypatch, years, tab="change", before="soon")
    assert any("not a period" in error.value for error in wrong.error)
    lost = page(monkeypatch, years, tab="change", seen=h3.latlng_to_cell(0, 0, 9))
    assert any("has no cell" in error.value for error in lost.error)


def test_clusters_are_said_to_be_of_this_snapshot(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, tab="prototypes", part="clusters")
    assert "of this snapshot alone" in texts(app)
    assert app.dataframe[0].value["rows"].sum() == len(CELLS)
    app.slider(key="clusters").set_value(3).run()
    assert link(app)["clusters"] == "3"
    assert app.dataframe[0].value["cluster"].tolist() == ["⬢ A", "⬢ B", "⬢ C"]


def test_outliers_are_those_of_the_command(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    app = page(monkeypatch, table, tab="prototypes", part="outliers", k="4")
    opened = EmbeddingTable.open(table)
    region = h3.str_to_int(app.selectbox(key="outliers of").value)
    expected = outliers(opened, 4, Filter(region=Region.from_cells([region])))
    shown = app.dataframe[0].value
    assert shown["cell"].tolist() == [h3.int_to_str(cell) for cell in expected["h3_cell"].to_pylist()]
    command, _ = (block.value for block in app.code)
    assert command == f"skyhex outliers -t {table} -k 4 --cells {h3.int_to_str(region)}"
    app.selectbox(key="outliers of").select("all").run()
    assert app.code[0].value == f"skyhex outliers -t {table} -k 4"
    nothing = page(monkeypatch, table, tab="prototypes", part="outliers", bbox="100,10,101,11")
    assert "No row with a prototype matches" in texts(nothing)


def test_parts_that_need_prototypes_say_how_to_fit_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare = small_table(tmp_path / "bare").path
    for part in ("prototypes", "outliers"):
        assert "skyhex prototypes fit" in texts(page(monkeypatch, bare, tab="prototypes", part=part))


def test_what_is_picked_on_the_plane_can_be_searched(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    shape = "plane:pca:-0.5 -0.6,0.9 0.1,-0.2 0.8"
    app = page(monkeypatch, table, tab="projection", picked=shape)
    assert "cells picked" in texts(app)
    assert f"all {len(CELLS)} rows" in texts(app)
    next(button for button in app.button if button.label == "Like all of these").click().run()
    assert link(app)["like"] == shape
    assert "20 most similar" in texts(app)
    wrong = page(monkeypatch, table, tab="projection", picked="plane:pca:1 2")
    assert any("three corners" in error.value for error in wrong.error)


def test_a_cell_that_is_found_in_several_periods_is_asked_about_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    years = small_table(tmp_path / "years", years=(2021, 2022, 2023)).path
    app = page(monkeypatch, years, like=CELL, k="60")
    cells = app.dataframe[0].value["cell"].tolist()
    assert len(set(cells)) < len(cells)
    asked = [button.key for button in app.button if (button.key or "").startswith("mark right")]
    assert len(asked) == len(set(asked)) == 10


def test_the_page_opens_without_torch() -> None:
    """Which takes seconds and a hundred megabytes, and is for images and words that somebody brings."""
    panels = sorted(path.stem for path in SCRIPT.parent.glob("*_panel.py"))
    imports = "; ".join(f"import search_app.page.{name}" for name in (*panels, "history", "map_answers"))
    assert "bring_panel" in panels
    loaded = "import sys; print(sorted({'torch', 'h3'} & {*sys.modules}))"
    told = subprocess.run(
        [sys.executable, "-c", f"{imports}; {loaded}"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.splitlines()[-1] == "['h3']"
