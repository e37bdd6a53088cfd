"""What is refused before a job begins on Ray, in one line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


SMALL_CHUNKS = """
from pipeline import embed_job
from search_app.cli.main import run
embed_job.CHUNK_MIN, embed_job.CHUNK_MAX = 4, 8
run()
"""


def command(catalog: Path, area: Path, table: Path, *more: str) -> list[str]:
    words = ["embed", catalog, "--aoi", area, "--weights", "statistics", "-t", table, "--no-index", *more]
    return [sys.executable, "-c", SMALL_CHUNKS, *map(str, words)]


def refused(catalog: Path, area: Path, table: Path, *more: str, **options: Any) -> str:
    """What a command says that exits with 2 in one line."""
    done = subprocess.run(
        command(catalog, area, table, *more, "--quiet"), capture_output=True, text=True, cwd=ROOT, **options
    )
    assert done.returncode == 2, done.stderr
    assert not list(table.glob("**/*.parquet"))
    return " ".join(done.stderr.split())


def test_words_that_do_not_go_together(catalog: Path, area: Path, tmp_path: Path) -> None:
    table = tmp_path / "t"
    assert "expected --engine ray" in refused(catalog, area, table, "--address", "auto")
    assert "leave one out" in refused(
        catalog, area, table, "--engine", "ray", "--address", "auto", "--workers", "2"
    )


def test_without_ray_what_to_install_is_said(catalog: Path, area: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text("import sys; sys.modules['ray'] = None\n")
    found = refused(catalog, area, tmp_path / "t", "--engine", "ray", env={"PYTHONPATH": str(tmp_path)})
    assert "pip install 'skyhex[ray]'" in found


@pytest.mark.ray
def test_one_line_where_no_head_answers(catalog: Path, area: Path, tmp_path: Path) -> None:
    words = ("--engine", "ray", "--address")
    nobody = refused(catalog, area, tmp_path / "t", *words, "127.0.0.1:9")
    assert "no Ray head answers at 127.0.0.1:9" in nobody
    assert "`ray start --head --port 9`" in nobody
    assert "Could not find any running Ray instance" in refused(catalog, area, tmp_path / "t", *words, "auto")
    assert "expected auto, or HOST[:PORT]" in refused(catalog, area, tmp_path / "t", *words, "ray://here:1")
