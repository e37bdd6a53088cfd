"""`skyhex labels` and `skyhex classify`, from a file of classes to areas."""

import csv
import json
from pathlib import Path

import h3
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from indexer.errors import QueryError
from search_app.cli.main import app

from ..make_table import CELLS, small_table

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_from_classes_to_areas(tmp_path: Path) -> None:
    table, at = small_table(tmp_path / "t").path, tmp_path
    east = {cell: h3.cell_to_latlng(h3.int_to_str(cell))[1] > 10.0 for cell in CELLS}
    rows = [f"{h3.int_to_str(cell)},{'east' if east[cell] else 'west'}" for cell in CELLS]
    (at / "classes.csv").write_text("\n".join(["h3_cell,label", *rows, "8928308280fffff,far"]))
    done = run("labels", "import", at / "classes.csv", "-t", table, "--set", "sides")
    assert done.exit_code == 0
    assert "1 labels lie where the table has no cell" in done.stderr
    assert f"{len(CELLS)} cells marked" in done.stderr
    listed = json.loads(run("labels", "list", "-t", table, "--format", "json").stdout)
    assert {row["label"]: row["cells"] for row in listed} == {
        "east": sum(east.values()),
        "west": len(CELLS) - sum(east.values()),
    }
    out = at / "out.geojson"
    assert run("labels", "export", "-t", table, "--set", "sides", "-o", out).exit_code == 0
    said = {
        f["properties"]["h3_cell"]: f["properties"]["label"] for f in json.loads(out.read_text())["features"]
    }
    assert said == {h3.int_to_str(cell): "east" if east[cell] else "west" for cell in CELLS}

    words = ("-t", table, "--set", "sides", "--block-res", 8)
    fitted = run("classify", "fit", *words, "-o", at / "c.json")
    assert fitted.exit_code == 0, fitted.exception
    assert "right when left out" in fitted.stderr
    assert run("classify", "apply", at / "c.json", "-t", table, "-o", at / "map.csv").exit_code == 0
    mapped = list(csv.DictReader((at / "map.csv").open()))
    assert [row["h3_cell"] for row in mapped] == [h3.int_to_str(cell) for cell in CELLS]
    assert run("classify", "sample", at / "map.csv", "--per-class", 20, "-o", at / "check.csv").exit_code == 0
    sample = list(csv.DictReader((at / "check.csv").open()))
    assert len(sample) == 40
    assert {row["reference"] for row in sample} == {""}
    for row in sample:
        row["reference"] = "east" if east[int(row["h3_cell"], 16)] else "west"
    with (at / "check.csv").open("w") as file:
        writer = csv.DictWriter(file, sample[0])
        writer.writeheader()
        writer.writerows(sample)
    areas = json.loads(run("classify", "area", at / "map.csv", at / "check.csv", "--format", "json").stdout)
    whole = sum(h3.cell_area(h3.int_to_str(cell), "km^2") for cell in CELLS) * 100
    assert np.isclose(sum(row["area_ha"] for row in areas), whole, rtol=1e-9)
    assert all(row["low_ha"] <= row["area_ha"] <= row["high_ha"] for row in areas)


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    table = small_table(tmp_path / "t").path
    (tmp_path / "far.csv").write_text("h3_cell,label\n8928308280fffff,far\n")
    for words, said in (
        (("labels", "import", tmp_path / "far.csv", "-t", table), "labels no cell of the table"),
        (("labels", "export", "-t", table), "no labels 'labels'"),
        (("classify", "fit", "-t", table, "-o", tmp_path / "c.txt"), "ends in .json"),
        (("classify", "apply", tmp_path / "far.csv", "-t", table), "holds no classifier"),
        (("classify", "area", tmp_path / "far.csv", tmp_path / "far.csv"), "expected reference, too"),
    ):
        done = run(*words)
        assert isinstance(done.exception, QueryError)
        assert said in str(done.exception)
