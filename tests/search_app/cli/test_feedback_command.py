"""`skyhex feedback`: a set of marks teaches a search."""

import json
from pathlib import Path

import h3
from typer.testing import CliRunner

import skyhex
from search_app.cli.main import app

from ..make_table import CELLS, small_table


def test_a_set_of_marks_teaches_a_search(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t").path
    right, wrong = CELLS[:3], CELLS[10:14]
    lines = [f"{cell:x},{'right' if cell in right else 'wrong'}" for cell in (*right, *wrong)]
    (tmp_path / "marks.csv").write_text("\n".join(["h3_cell,label", *lines]))

    def run(*words: object) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.exception
        return done.stdout + done.stderr if words[0] == "labels" else done.stdout

    run("labels", "import", tmp_path / "marks.csv", "-t", table, "--set", "feedback")
    words = ("feedback", "--cell", h3.int_to_str(CELLS[30]), "-t", table, "-k", 5, "--format", "json")
    same = skyhex.feedback(table, cell=CELLS[30], right=right, wrong=wrong, k=5, to_ask=5, apart_km=0.5)
    kept = ("--set", "feedback")
    typed = [*(w for cell in right for w in ("--right", f"{cell:x}"))]
    typed += [w for cell in wrong for w in ("--wrong", f"{cell:x}")]
    for more, expected in (kept, same.hits.rows), ((*kept, "--ask"), same.ask), (typed, same.hits.rows):
        found = json.loads(run(*words, "--apart-km", 0.5, *more))
        assert [row["h3_cell"] for row in found] == [f"{c:x}" for c in expected["h3_cell"].to_pylist()]
    done = CliRunner().invoke(app, [str(word) for word in (*words, *kept)])
    assert "round 1: 3 of 7 right" in done.stderr
