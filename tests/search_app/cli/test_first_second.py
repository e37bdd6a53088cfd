"""What a command loads before it answers: heavy packages that it does not use are not among it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.index.faiss_index import build_index

from ...indexer.small_tables import place_table

ROOT = Path(__file__).parents[3]
HEAVY = frozenset(
    {
        *("duckdb", "faiss", "numpy.random", "pandas", "pyarrow.compute", "rasterio", "rich.progress"),
        *("streamlit", "torch", "zarr"),
    }
)
QUERY = "SELECT count(*) FROM embeddings"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table")
    build_index(place_table(path))
    return path


def loaded_by(table: Path, code: str, *argv: str, of: frozenset[str] = HEAVY) -> tuple[set[str], str]:
    """Which of some packages a fresh process has loaded in the end, and what it wrote to stderr."""
    told = "import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules)); "
    done = subprocess.run(
        [sys.executable, "-c", told + code, *argv],
        capture_output=True, text=True, check=False, cwd=table,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SKYHEX_TABLE": str(table)},
    )  # fmt: skip
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("loaded ")]
    return {*of.intersection(line.split())}, done.stderr


@pytest.mark.parametrize(
    ("argv", "used"),
    [
        (("search", "--cell", "CELL"), {"faiss", "pyarrow.compute"}),  # which of several periods is compared
        (("sql", QUERY), {"duckdb"}),
        (("info",), {"duckdb", "numpy.random", "pyarrow.compute"}),  # rows are drawn, as the sample is small
        (("log",), set()),
        (("search",), set()),  # nothing to look like
        (("search", "--cell", "nonsense"), set()),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_command_loads_only_what_it_uses(table: Path, argv: tuple[str, ...], used: set[str]) -> None:
    from indexer.geo.cells import cell_to_text
    from indexer.table.embedding_table import EmbeddingTable

    cell = cell_to_text(EmbeddingTable.open(table).files[0].min_h3)
    words = [cell if word == "CELL" else word for word in argv]
    loaded, said = loaded_by(table, "from search_app.cli.main import run; run()", *words)
    assert loaded <= used, said
    assert ("error" in said) == (argv in [("search",), ("search", "--cell", "nonsense")])


def test_help_and_errors_load_no_arrays(table: Path) -> None:
    run, arrays = "from search_app.cli.main import run; run()", frozenset({"numpy", "pyarrow"})
    for words in (["--help"], ["search", "--help"], ["nonsense"]):
        assert loaded_by(table, run, *words, of=arrays)[0] == set(), words


def test_a_search_from_python_loads_no_database_and_no_encoder(table: Path) -> None:
    from indexer.table.embedding_table import EmbeddingTable

    cell = EmbeddingTable.open(table).files[0].min_h3
    loaded, said = loaded_by(table, f"import skyhex; skyhex.search({str(table)!r}, cell={cell}, k=3)")
    by_pyarrow = {"pandas", "numpy.random"}  # where pandas is installed
    assert loaded <= {"faiss", "pyarrow.compute", *by_pyarrow}, said
    assert not said
