"""The gate, on small vectors whose answers are known."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.sample import ANY_TIME, ImageSeries, Sample
from encoder.checkpoint import digest, load_weights
from encoder.config import preset
from encoder.initialise import initialise
from encoder.skysense import SkySense
from experiments.aerial_crops import Crops
from experiments.gate import hr_lines, series_lines
from experiments.nano import save_half
from experiments.retrieval.embedding import Embedded
from experiments.retrieval.problem import Fold, Problem, one_hot
from experiments.retrieval.validation import ValidationSet

N, CLASSES, BLOCKS = 240, 4, 12
LABEL = np.arange(N) % CLASSES
KNOWS = np.eye(CLASSES, dtype=np.float32)[LABEL]  # a vector that says the class
NOTHING = np.random.default_rng(0).normal(size=(N, CLASSES)).astype(np.float32)


def small_set() -> ValidationSet:
    labels, classes = one_hot([f"c{i}" for i in LABEL])
    block = np.array([f"b{i // CLASSES % BLOCKS}" for i in range(N)])
    query = np.isin(block, ["b1", "b3", "b7"])
    nowhere = np.full(N, np.nan)
    fold = Fold(np.flatnonzero(query), np.flatnonzero(~query))
    problem = Problem("small", labels, classes, block, nowhere, nowhere, (fold,))
    noise = np.random.default_rng(1)
    return ValidationSet(problem, [None] * N, noise.normal(size=(N, 3, 2)), noise.normal(size=(N, 3, 10)))


def made(fused: np.ndarray, s1: np.ndarray, s2: np.ndarray) -> Embedded:
    return Embedded(fused, {"s1": s1, "s2": s2}, 0.0)


def judged(ours: Embedded, untrained: Embedded) -> dict[tuple[str, str], bool]:
    lines = series_lines([small_set()], [ours], [[untrained]])
    return {(one.branch, one.against): one.passes for one in lines}


def test_branches_that_know_what_their_twins_do_not_pass() -> None:
    assert set(judged(made(KNOWS, KNOWS, KNOWS), made(NOTHING, NOTHING, NOTHING)).values()) == {True}


@pytest.mark.parametrize("branch", ["s1", "s2"])
def test_a_branch_below_its_untrained_twin_fails_alone(branch: str) -> None:
    parts = {"fused": KNOWS, "s1": KNOWS, "s2": KNOWS, branch: NOTHING}
    found = judged(made(**parts), made(KNOWS, KNOWS, KNOWS))
    assert [key for key, passes in found.items() if not passes] == [(branch, "untrained")]


def test_a_whole_below_its_best_sensor_fails() -> None:
    found = judged(made(NOTHING, NOTHING, KNOWS), made(NOTHING, NOTHING, NOTHING))
    assert [key for key, passes in found.items() if not passes] == [("fused", "best single sensor")]


def aerial() -> Crops:
    """Two windows of each of 40 places, each place of one colour."""
    rng = np.random.default_rng(2)
    samples, places = [], []
    for place in range(40):
        colour = rng.integers(30, 220, size=(3, 1, 1))
        for half in range(2):
            pixels = (colour + rng.integers(-6, 7, size=(1, 3, 8, 8))).astype(np.uint8)
            hr = ImageSeries(pixels, np.ones((1, 8, 8), bool), np.zeros(1, np.int16), ("",))
            samples.append(
                Sample(
                    sample_id=f"{place}-{half}", h3_cell=0, lon_deg=0.0, lat_deg=0.0, start=ANY_TIME[0],
                    end=ANY_TIME[1], footprint=(), crs="", origin_m=(0.0, 0.0), grid_shape=(1, 1),
                    series={"hr": hr}, valid_fraction=1.0, cloud_fraction=0.0,
                )
            )  # fmt: skip
            places.append(f"survey{place % 2}-{place}")
    return Crops(samples, np.array(places), np.ones(80, bool))


def test_an_hr_branch_that_sees_less_than_colours_fails() -> None:
    crops = aerial()
    collapsed = np.ones((80, 8), np.float32) + np.random.default_rng(3).normal(0, 1e-3, (80, 8)).astype("f4")
    per_place = np.repeat(np.eye(40, dtype=np.float32), 2, axis=0)
    lines = {one.against: one for one in hr_lines(crops, collapsed, [per_place])}
    assert not lines["colour histogram"].passes
    assert not lines["untrained"].passes
    assert all(one.passes for one in hr_lines(crops, per_place, [collapsed]))


@pytest.mark.filterwarnings("error")
def test_weights_in_half_precision_are_what_they_say(tmp_path: Path) -> None:
    config = preset("nano")
    assert config.s2 is not None
    small = replace(
        config, hr=None, s1=None, s2=replace(config.s2, depth=1), fusion=replace(config.fusion, depth=1)
    )
    model = SkySense(small)
    initialise(model, 0)
    path = tmp_path / "half.safetensors"
    assert save_half(model, path, "half", {"embedding": 4.5}) == hashlib.sha256(path.read_bytes()).hexdigest()
    _, info = load_weights(path)  # its own digest holds
    assert info.digest == digest(model)
    assert info.config["effective_rank"] == {"embedding": 4.5}
