"""The score that chooses checkpoints sees no test row, and sees learning."""

from pathlib import Path

import numpy as np
import pytest

from encoder.config import preset
from encoder.initialise import initialise
from encoder.skysense import SkySense
from experiments.retrieval.series_sets import read_series
from experiments.retrieval.validation import RULES, held_out, read_validation, validation_score

from .make_series import write_series

PX = {"hr": 32, "s2": 8, "s1": 8}


@pytest.fixture(scope="module")
def model() -> SkySense:
    made = SkySense(preset("nano"))
    initialise(made, 0)
    return made


def test_queries_are_whole_blocks_of_the_train_split(tmp_path: Path) -> None:
    pixels = read_series(write_series(tmp_path / "a.parquet", n=120), RULES).pixels
    held = held_out(pixels)
    assert held.any()
    assert (pixels.split[held] == "train").all()
    assert not set(pixels.block[held]) & set(pixels.block[(pixels.split == "train") & ~held])
    assert (pixels.split == "train").sum() == 80


def test_test_rows_change_nothing(tmp_path: Path, model: SkySense) -> None:
    whole = write_series(tmp_path / "a.parquet", n=120)
    found = read_series(whole, RULES)
    other = found.pixels.s2.copy()
    other[found.pixels.split == "test"] = 5000
    flipped = np.where(found.pixels.split == "test", "other", found.label).tolist()
    (tmp_path / "b").mkdir()
    changed = write_series(tmp_path / "b" / "a.parquet", n=120, s2=other.tolist(), label=flipped)
    scores = [validation_score(model, read_validation([path], PX)) for path in (whole, changed)]
    assert scores[0] == scores[1]


def test_the_score_is_the_mean_of_its_families(tmp_path: Path, model: SkySense) -> None:
    found = validation_score(model, read_validation([write_series(tmp_path / "a.parquet", n=120)], PX))
    assert found["score"] == pytest.approx(np.mean([found[f] for f in ("mAP@20", "kNN-20", "recall@10")]))
    assert found["mAP@20"] == found["a/mAP@20"] > 0.9  # green and bare are easy


def test_training_mode_is_left_as_it_was(tmp_path: Path, model: SkySense) -> None:
    model.train()
    validation_score(model, read_validation([write_series(tmp_path / "a.parquet")], PX, at_most=30))
    assert model.training
