"""From candidates to tables, JSON and pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.sample import InputError
from experiments.retrieval.blocks import Interval
from experiments.retrieval.leakage import Finding
from experiments.retrieval.options import Options
from experiments.retrieval.pictures import Exhibit, confusion, principal_plane
from experiments.retrieval.problem import Fold, Problem, one_hot
from experiments.retrieval.report import Report, to_json, to_markdown, write_report
from experiments.retrieval.run import Case, Pairs, judge, report_of
from experiments.retrieval.sheet import Candidate, zero_shot_sheet

MODEL: dict[str, Any] = {"name": "skyhex/test", "digest": "0" * 64, "trained": True}


def small_case(name: str = "tiny", noise: float = 0.1) -> Case:
    """Two classes in ten blocks; ours sees them, the other sees nothing."""
    rng = np.random.default_rng(0)
    code = np.arange(80) % 2
    labels, classes = one_hot(["ab"[c] for c in code])
    block = (np.arange(80) // 4).astype(str)
    nowhere = np.full(80, np.nan)
    folds = (Fold(np.arange(40), np.arange(40, 80)),)
    problem = Problem(name, labels, classes, block, nowhere, nowhere, folds, ("a note",))
    good = (np.eye(2)[code] + noise * rng.standard_normal((80, 2))).astype(np.float32)
    blind = tuple(rng.standard_normal((80, 2)).astype(np.float32) for _ in range(2))
    partner = rng.standard_normal((80, 4)).astype(np.float32)
    return Case(
        problem,
        (Candidate("ours", (good,), 4, 0.5), Candidate("RCF (2 seeds)", blind, 4, 0.5)),
        Exhibit(problem, good, lambda axes, row: axes.plot([row, row])),
        Pairs(problem, "S1", "S2", (Candidate("ours", ((partner, partner),), 8, 0.5),)),
        (Finding("a leak", Interval(0.5, 0.4, 0.6), 0.3),),
    )


def report_on(*names: str, options: Options) -> Report:
    return report_of([judge(small_case(name), options) for name in names], options, MODEL)


@pytest.fixture(scope="module")
def report() -> Report:
    return report_on("one", "two", options=Options("skyhex eval tiny"))


def test_families_are_never_mixed(report: Report) -> None:
    assert report.families == ["zero-shot", "probes", "cross-modal"]
    for family in report.families:
        assert len({frozenset(sheet.rows[0].scores) for sheet in report.of(family)}) == 1


def test_gains_are_paired_pooled_and_counted(report: Report) -> None:
    found = {contest.name: contest for contest in report.contests}
    assert list(found) == [
        "zero-shot, mAP@20", "probes, kNN-20", "probes, kNN-5", "probes, linear",
        "cross-modal S1 -> S2, recall@10", "cross-modal S2 -> S1, recall@10",
    ]  # fmt: skip
    zero_shot = found["zero-shot, mAP@20"]
    assert zero_shot.ours["one"].mean > 0.9
    gains = {gain.name: gain for gain in zero_shot.gains}
    assert set(gains) == {"RCF (2 seeds)", "chance", "majority"}
    assert gains["chance"].pooled.low > 0
    assert (gains["chance"].above, gains["chance"].below) == (2, 0)


def test_scores_are_averaged_over_seeds() -> None:
    case = small_case()
    blind = case.candidates[1]
    rows = [zero_shot_sheet(case.problem, [Candidate("x", (v,), 4, 0)]).rows[0] for v in blind.vectors]
    both = zero_shot_sheet(case.problem, [blind]).rows[0]
    mean = np.mean([row.scores["mAP@20"].values for row in rows], axis=0)
    assert both.scores["mAP@20"].values == pytest.approx(mean)


def test_a_perfect_partner_is_found_both_ways(report: Report) -> None:
    sheets = report.of("cross-modal")
    assert [sheet.title for sheet in sheets] == ["S1 -> S2", "S2 -> S1"] * 2
    assert all(sheet.rows[0].scores["recall@1"].mean == 1 for sheet in sheets)


def test_markdown_holds_command_notes_and_every_row(report: Report) -> None:
    text = to_markdown(report)
    for part in (
        "`skyhex eval tiny`",
        "a note",
        "| ours |",
        "| chance |",
        "## Leakage",
        "## Compression",
        "## Verdict",
    ):
        assert part in text


def test_json_and_pictures_are_written(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    found = json.loads((tmp_path / "report.json").read_text())
    first = found["sheets"][0]
    assert first["set"] == "one"
    assert first["rows"][0]["scores"]["mAP@20"]["mean"] > 0.9
    assert [row["bytes_per_item"] for row in first["rows"]] == [4, 4, None, None]
    shown = {path.name for path in tmp_path.glob("*.png")}
    assert {"one-zero-shot-bars.png", "one-hits.png", "one-projection.png", "one-confusion.png"} <= shown
    with Image.open(tmp_path / "one-confusion.png") as image:
        assert len(set(image.convert("L").tobytes())) > 20


def test_one_protocol_alone() -> None:
    found = report_on("one", options=Options(protocol="probes"))
    assert found.families == ["probes"]
    assert [table.title for table in found.tables] == ["Verdict"]


def test_two_sets_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="several sets are called one; rename"):
        report_on("one", "two", "one", options=Options(protocol="zero-shot"))


def test_json_keeps_every_choice_and_stays_short(report: Report) -> None:
    text = to_json(report)
    found = json.loads(text)
    assert found["settings"] | {"split": "validation", "seed": 0, "fill_band": {}} == found["settings"]
    assert found["contests"][0]["gains"][0]["sets_above_zero"] == 2
    assert 2 * text.count("\n") < json.dumps(found, indent=1).count("\n")
    assert "NaN" not in text


def test_confusion_counts() -> None:
    assert confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist() == [[1, 1], [0, 1]]


def test_the_plane_holds_what_varies_most() -> None:
    points = np.zeros((50, 5))
    points[:, 3] = np.arange(50)
    plane, share = principal_plane(points)
    assert np.ptp(plane[:, 0]) == pytest.approx(49)
    assert share == pytest.approx([1, 0], abs=1e-9)
