"""The ablation: what each variant sees, how scores are compared, and that a score found is kept."""

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
import torch

from data.pixel_series import read_pixel_series
from data.simulate import simulate
from data.simulate.area import DEFAULT_AREAS
from encoder.config import preset
from encoder.training.corpus import Corpus, PixelSamples, Source
from encoder.training.pretrain import LAST
from experiments import ablation, nano_corpus
from experiments.ablation import (
    BLIND,
    UNTRAINED,
    VARIANTS,
    Scored,
    as_markdown,
    only_s2,
    row,
    with_simulated,
)
from experiments.retrieval.validation import read_validation

from .make_series import write_series

PX = preset("nano").px_per_cell
DATES = {"s2": (1, 2), "s1": (1, 2)}


def corpus(path: Path) -> Corpus:
    pixels = PixelSamples(read_pixel_series(path), PX)
    radar = Source("chips with S1 and S2", [pixels[0]], 1.0, 2, (1, 1), DATES)
    series = Source("series", pixels, 1.0, 4, (1, 1), DATES, h3_cells=pixels.cells)
    return Corpus((series, replace(radar, name="chips with S2"), radar), PX)


def even(precision: float, queries: int) -> Scored:
    """One set whose queries all have the same score."""
    families = {"kNN-20": 0.5, "recall@10": 0.1}
    return Scored(families, {sensors: [[precision] * queries] for sensors in ("all", "s2")})


def test_sentinel_2_alone_sees_no_radar(tmp_path: Path) -> None:
    whole = corpus(write_series(tmp_path / "a.parquet"))
    kept = only_s2(whole)
    assert [source.name for source in kept.sources] == ["series", "chips with S2"]
    assert {"s1", "s2"} == whole.sources[0].samples[3].series.keys()
    assert {"s2"} == kept.sources[0].samples[3].series.keys()


def test_the_simulated_landscape_is_a_fifth_with_all_sensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        nano_corpus, "simulate", partial(simulate, areas=DEFAULT_AREAS[:1], s2_dates=1, s1_dates=1)
    )
    whole = corpus(write_series(tmp_path / "a.parquet"))
    made = with_simulated(whole, tmp_path)
    added = made.sources[-1]
    assert added.share / sum(source.share for source in made.sources) == pytest.approx(0.2)
    assert {"hr", "s2", "s1"} == added.samples[0].series.keys()
    assert made.sources[:-1] == whole.sources


def test_variants_differ_in_what_their_names_say(tmp_path: Path) -> None:
    whole = corpus(write_series(tmp_path / "a.parquet"))
    blind, seeing = VARIANTS["nano-1 without dates"], VARIANTS["nano-1"]
    assert blind.corpus(whole, tmp_path).augment == BLIND
    assert seeing.corpus(whole, tmp_path).augment == whole.augment
    assert (blind.config(60).date_amplitude, seeing.config(60).date_amplitude) == (0.0, 6.0)
    assert VARIANTS["+ prototypes"].config(60).prototypes_per_region == ablation.PROTOTYPES
    assert VARIANTS["image level alone"].config(60).objective.levels == "image"
    budgets = {variant.config(60).steps for variant in VARIANTS.values()}
    assert budgets == {60}


def test_a_row_holds_means_and_paired_differences(tmp_path: Path) -> None:
    sets = read_validation([write_series(tmp_path / "a.parquet", n=120)], PX)
    queries = len(sets[0].problem.queries)
    worse = even(0.5, queries)
    better = Scored({"kNN-20": 0.6, "recall@10": 0.2}, {"all": [[0.75] * queries], "s2": [[0.5] * queries]})
    line = row("better", better, worse, sets)
    assert line["mAP@20 of all"] == pytest.approx(0.75)
    assert line["mAP@20 of all minus untrained"] == pytest.approx({"mean": 0.25, "low": 0.25, "high": 0.25})
    assert line["mAP@20 of s2 minus untrained"]["mean"] == 0
    assert as_markdown([line]).splitlines()[-1] == (
        "| better | 0.750 | 0.250 [0.250, 0.250] | 0.600 | 0.200 | 0.500 |"
    )


def test_scores_that_lie_there_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_series(tmp_path / "a.parquet", n=120)
    monkeypatch.setattr(ablation, "series_paths", lambda _: [path])
    monkeypatch.setattr(ablation, "build_corpus", lambda *_: pytest.fail("nothing is left to train"))
    queries = len(read_validation([path], PX)[0].problem.queries)
    kept = even(0.5, queries)
    for name in ("no-training", "nano-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text(json.dumps(asdict(kept)))
    rows = ablation.run(tmp_path, tmp_path, 2, ["nano-1"])
    assert [line["variant"] for line in rows] == [UNTRAINED, "nano-1"]


def test_training_and_scoring_make_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_series(tmp_path / "a.parquet", n=120)
    monkeypatch.setattr(ablation, "series_paths", lambda _: [path])
    monkeypatch.setattr(ablation, "build_corpus", lambda *_: corpus(path))
    rows = ablation.run(tmp_path, tmp_path / "runs", 2, ["+ prototypes"])
    folders = [tmp_path / "runs" / name for name in ("no-training", "prototypes")]
    assert [torch.load(folder / LAST, weights_only=True)["step"] for folder in folders] == [0, 2]
    assert [line["mAP@20"] for line in rows] == [1, 1]  # green and bare are easy
    assert rows[1]["mAP@20 of s2"] > 0.9
    assert rows[1]["recall@10"] != rows[0]["recall@10"]  # two steps moved something
