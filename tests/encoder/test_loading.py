"""A word names an encoder; a foreign one that breaks its promises is named, with what was expected."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.modality import MODALITIES
from data.sample import InputError, Sample
from encoder.baseline import rcf_encoder, statistics_encoder
from encoder.checkpoint import CheckpointError
from encoder.embed import EmbeddingBatch, Encoder
from encoder.foreign import ForeignEncoder, foreign_encoder
from encoder.loading import load_encoder
from encoder.protocol import AnyEncoder, TextSide

from ..tolerance import gamma, scaling_error
from .tiny import sample

SAMPLES = [sample(number, ("s2", "s1")) for number in range(3)]
MODULE = (
    "from encoder.baseline import rcf_encoder, statistics_encoder\nnot_one = 3\nmade = statistics_encoder()\n"
    "def busy():\n    device = 'mine'\n    return rcf_encoder()\n"
)


class Mine:
    """Statistics, spoilt by `spoil`."""

    def __init__(self, spoil=lambda batch: batch) -> None:
        self.inner, self.spoil = statistics_encoder(), spoil
        self.info, self.spec = self.inner.info, self.inner.spec

    def embed(self, samples: list[Sample], dense: bool = False) -> EmbeddingBatch:
        return self.spoil(self.inner.embed(samples, dense))


@pytest.fixture
def my_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_encoders.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_encoders", raising=False)


@pytest.mark.float32
def test_words_that_need_no_code() -> None:
    assert isinstance(load_encoder("nano", "cpu"), Encoder)
    assert load_encoder("statistics").info.dimension == 60
    assert load_encoder("rcf").info.dimension == 384
    assert load_encoder("rcf").info.digest != load_encoder("statistics").info.digest


@pytest.mark.usefixtures("my_module")
def test_an_attribute_of_a_module_is_an_encoder_or_makes_one() -> None:
    for word in ("python:my_encoders:rcf_encoder", "python:my_encoders:made", "python:my_encoders:busy"):
        found: AnyEncoder = load_encoder(word)
        assert found.embed(SAMPLES).embedding.shape == (3, found.info.dimension)


@pytest.mark.usefixtures("my_module")
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("python:my_encoders", "expected python:MODULE:ATTRIBUTE"),
        ("python:no_such_module:x", "No module named 'no_such_module'"),
        ("python:my_encoders:no_such", "has no attribute 'no_such'"),
        ("python:my_encoders:not_one", "a int without info, spec, embed"),
        ("plugin:no_such", "no plugin 'no_such' is installed"),
    ],
)
def test_a_word_that_names_no_encoder_says_what_was_expected(word: str, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        load_encoder(word)


@pytest.mark.parametrize("word", ["python:os:getcwd", "plugin:clay"])
def test_a_table_or_a_page_cannot_name_code(word: str) -> None:
    with pytest.raises(CheckpointError, match="names code"):
        load_encoder(word, code=False)


def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_encoders.py").write_text(MODULE)
    about = tmp_path / "their_encoders-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-encoders\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[skyhex.encoders]\ntheirs = their_encoders:rcf_encoder\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_encoder("plugin:theirs").info.name == "skyhex/rcf"


def nan(batch: EmbeddingBatch) -> EmbeddingBatch:
    spoilt = batch.embedding.copy()
    spoilt[-1, 0] = np.nan
    return replace(batch, embedding=spoilt)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (nan, "not finite or is zero for 1 of 3 samples, first number 2"),
        (lambda b: replace(b, embedding=b.embedding[:, :50]), r"of shape \(3, 50\); expected \(3, 60\)"),
        (lambda b: replace(b, embedding=b.embedding[:-1]), r"of shape \(2, 60\); expected \(3, 60\)"),
        (lambda b: replace(b, embedding=b.embedding[::-1]), "expected rows in the samples' order"),
        (lambda b: replace(b, dense=None), "no dense map: leave --granularity out"),
    ],
)
def test_a_broken_promise_is_named(spoil, said: str) -> None:
    different = [sample(0, ("s2",)), sample(1, ("s1",)), sample(2, ("s2", "s1"))]
    with pytest.raises(InputError, match=said):
        ForeignEncoder(Mine(spoil), "mine").embed(different, dense=True)


def test_vectors_leave_with_norm_one_and_all_sensors_named() -> None:
    made = ForeignEncoder(Mine(lambda b: replace(b, embedding=7 * b.embedding)), "mine").embed(SAMPLES)
    length = np.linalg.norm(made.embedding.astype(float), axis=1)
    np.testing.assert_allclose(length, 1, rtol=scaling_error(made.embedding.shape[1]))
    assert set(made.by_modality) == {"hr", "s2", "s1"}
    assert np.isnan(made.by_modality["hr"]).all()


def test_an_encoder_without_words_says_so() -> None:
    assert not isinstance(foreign_encoder(Mine(), "mine"), TextSide)
    assert not isinstance(statistics_encoder(), TextSide)


@pytest.mark.parametrize("make", [statistics_encoder, rcf_encoder])
def test_baselines_see_a_sample_alone_as_in_a_batch(make) -> None:
    encoder = make()
    mixed = [sample(1, ("s2",)), sample(2, ("s2", "s1")), sample(3, ("hr",))]
    mixed[2] = replace(mixed[2], series={"hr": replace_hr(mixed[2])})
    whole = encoder.embed(mixed[:2], dense=True)
    for i, one in enumerate(mixed[:2]):
        np.testing.assert_array_equal(encoder.embed([one]).embedding[0], whole.embedding[i])  # alone in both
    assert np.isnan(whole.by_modality["s1"][0]).all()
    assert np.isfinite(whole.by_modality["s1"][1]).all()
    assert whole.dense is not None
    assert whole.dense.shape == (2, encoder.info.dimension, 2, 2)
    hr = encoder.embed(mixed[2:])
    length = np.linalg.norm(hr.embedding.astype(float), axis=1)
    np.testing.assert_allclose(length, 1, rtol=scaling_error(hr.embedding.shape[1]))


def replace_hr(one: Sample):
    """The tiny model has 8 px a cell of aerial imagery, the default grid 32."""
    series = one.series["hr"]
    grown = np.kron(series.pixels, np.ones((4, 4), dtype=np.uint8))
    return replace(series, pixels=grown, valid=np.ones((1, *grown.shape[2:]), dtype=bool))


def test_statistics_are_statistics() -> None:
    one = sample(5, ("s2",), dates=1)
    vector = statistics_encoder().embed([one]).embedding[0]
    pixels = one.series["s2"].pixels[0].reshape(10, 2, 8, 2, 8)
    mean, std = (np.reshape(v, (10, 1, 1, 1, 1)) for v in (MODALITIES["s2"].mean, MODALITIES["s2"].std))
    cells = ((pixels - mean) / std).transpose(0, 1, 3, 2, 4).reshape(10, 4, 64)  # bands, cells, pixels
    parts = [cells.mean(axis=2), cells.std(axis=2), cells.max(axis=2), cells.min(axis=2)]
    want = np.concatenate([part.mean(axis=1) for part in parts])
    own = vector[12:52].astype(float)  # after the aerial bands: 4 x 3
    # Rounded: a score and its square, 64 sums, the quotient and root, four cells, the scaling. Each moves a
    # number by a part of its band's largest score, and a unit vector as far as its numbers together.
    largest = 4**0.5 * np.linalg.norm(np.abs(cells).max(axis=(1, 2)))
    atol = gamma(2 + 64 + 2 + 4 + 2) * largest / np.linalg.norm(want)
    np.testing.assert_allclose(own / np.linalg.norm(own), want / np.linalg.norm(want), rtol=0, atol=atol)


@pytest.mark.parametrize("make", [statistics_encoder, rcf_encoder])
def test_baselines_do_not_see_what_is_not_valid(make) -> None:
    one = sample(5, ("s2",), dates=3)
    valid = one.series["s2"].valid.copy()
    valid[0] = False
    valid[:, 8:, 8:] = False  # a whole cell
    valid[1, 2:5, 2:5] = False
    made = []
    for filler in (0, 9000):
        pixels = np.where(valid[:, None], one.series["s2"].pixels, filler).astype(np.uint16)
        shown = replace(one, series={"s2": replace(one.series["s2"], pixels=pixels, valid=valid)})
        made.append(make().embed([shown], dense=True))
    np.testing.assert_array_equal(made[0].embedding, made[1].embedding)
    assert np.isnan(made[0].dense[0]).all(axis=0).tolist() == [[False, False], [False, True]]
    assert np.isfinite(made[0].dense[0]).all(axis=0).sum() == 3


@pytest.mark.parametrize("make", [statistics_encoder, rcf_encoder])
def test_a_sensor_without_a_valid_pixel_is_as_one_that_is_missing(make) -> None:
    one = sample(5, ("s2", "s1"))
    unseen = replace(one.series["s1"], valid=np.zeros_like(one.series["s1"].valid))
    batch = make().embed([replace(one, series={**one.series, "s1": unseen})])
    alone = make().embed([replace(one, series={"s2": one.series["s2"]})])
    np.testing.assert_array_equal(batch.embedding, alone.embedding)
    assert np.isnan(batch.by_modality["s1"]).all()
