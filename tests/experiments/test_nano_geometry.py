"""The fit of a geometry: what was fitted on vectors is what the model then does with samples."""

from dataclasses import replace

import numpy as np
import pytest

from data.sample import ANY_TIME, ImageSeries, Sample
from encoder.config import preset
from encoder.initialise import initialise
from encoder.skysense import SkySense
from experiments import nano_geometry
from experiments.nano_geometry import (
    fit_sentinel,
    in_geometry,
    sensor,
    sentinel_maps,
    turned_towards,
    with_season,
)
from experiments.retrieval.embedding import embed_small
from experiments.retrieval.seasons import SEASON_OF, SEASONS

D = 32


def series(rng: np.random.Generator, name: str, dates: int) -> ImageSeries:
    bands = {"s2": 10, "s1": 2}[name]
    values = (
        rng.integers(200, 4000, (dates, bands, 1, 1))
        if name == "s2"
        else rng.normal(-15, 3, (dates, bands, 1, 1))
    )
    pixels = np.broadcast_to(values.astype("u2" if name == "s2" else "f4"), (dates, bands, 8, 8))
    days = rng.integers(0, 366, dates).astype(np.int16)  # 0 is unknown
    return ImageSeries(pixels, np.ones((dates, 8, 8), bool), days, ("",) * dates)


def samples(seed: int, count: int) -> list[Sample | None]:
    """One cell each: every third lacks Sentinel-1, every seventh Sentinel-2, one is no sample."""
    rng = np.random.default_rng(seed)
    made: list[Sample | None] = []
    for i in range(count):
        names = [n for n, every in (("s2", 7), ("s1", 3)) if i % every]
        if not names:
            made.append(None)
            continue
        parts = {name: series(rng, name, int(rng.integers(1, 5))) for name in names}
        made.append(
            Sample(
                sample_id=str(i), h3_cell=0, lon_deg=0.0, lat_deg=0.0, start=ANY_TIME[0], end=ANY_TIME[1],
                footprint=(), crs="", origin_m=(0.0, 0.0), grid_shape=(1, 1), series=parts,
                valid_fraction=1.0, cloud_fraction=0.0,
            )
        )  # fmt: skip
    return made


def test_the_model_makes_what_the_fit_promised() -> None:
    nano = preset("nano")
    assert nano.s2 is not None
    assert nano.s1 is not None
    config = replace(
        nano, hr=None, s2=replace(nano.s2, width=32, depth=1), s1=replace(nano.s1, width=32, depth=1),
        fusion=replace(nano.fusion, in_width=D, width=D, depth=1),
    )  # fmt: skip
    base = SkySense(config)
    initialise(base, 0)
    sets = [samples(1, 150), samples(2, 100)]
    vectors = [with_season(embed_small(base, of_set).by_modality, of_set) for of_set in sets]
    model = fit_sentinel(base, vectors, dimension=D)
    asked = samples(3, 40)
    made = embed_small(model, asked)
    maps = sentinel_maps(vectors, D)
    s1, s2, whole = in_geometry(with_season(embed_small(base, asked).by_modality, asked), maps)
    np.testing.assert_allclose(made.by_modality["s1"], s1, atol=2e-5)
    np.testing.assert_allclose(made.by_modality["s2"], s2, atol=2e-5)
    there = np.array([sample is not None for sample in asked])
    whole = whole[there] / np.linalg.norm(whole[there], axis=1, keepdims=True)
    np.testing.assert_allclose(made.fused[there], whole, atol=2e-5)
    assert np.isnan(s1).all(axis=1).sum() == sum(
        sample is None or "s1" not in sample.series for sample in asked
    )


def sets_that_share() -> list[dict[str, np.ndarray]]:
    """Sensors and seasons that see the same few things, each in its own numbers, with noise of its own."""
    rng = np.random.default_rng(5)
    made = []
    for count in (120, 80):
        hidden = rng.normal(size=(count, 6))
        parts = {}
        for name, width in (
            ("s2", 16),
            ("s1", 16),
            *((SEASON_OF[n], SEASONS[n].width) for n in ("s2", "s1")),
        ):
            see = np.random.default_rng(width + len(name)).normal(size=(6, width))
            parts[name] = hidden @ see + 0.5 * rng.normal(size=(count, width))
        made.append(parts)
    return made


def test_sentinel_1_with_its_season_is_turned_as_near_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = sets_that_share()
    every = {name: np.concatenate([one[name] for one in sets]) for name in sets[0]}

    def both(rounds: int) -> tuple[np.ndarray, np.ndarray]:
        monkeypatch.setattr(nano_geometry, "ROUNDS", rounds)
        maps = sentinel_maps(sets, 16)
        return sensor(every, maps, "s1"), sensor(every, maps, "s2")

    s1, s2 = both(nano_geometry.ROUNDS)
    np.testing.assert_allclose(turned_towards(s1, s2), np.eye(16), atol=1e-8)  # nothing is left to turn
    first = both(0)
    assert (s1 * s2).sum(axis=1).mean() > (first[0] * first[1]).sum(axis=1).mean() + 1e-3


def test_a_fit_without_seasons_has_none() -> None:
    rng = np.random.default_rng(0)
    sets = [{name: rng.normal(size=(60, 8)) for name in ("s2", "s1")}]
    maps = sentinel_maps(sets, 8)
    assert set(maps) == {"s1", "s2"}
    assert not set(SEASON_OF.values()) & set(maps)


@pytest.mark.parametrize("width", [3, 6])
def test_turning_undoes_a_turn_and_changes_no_cosine(width: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, width))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0][:width]
    y = x @ turn
    y[3] = np.nan  # a row without a partner
    found = turned_towards(x, y)
    np.testing.assert_allclose(found, turn, atol=1e-9)
    np.testing.assert_allclose(found @ found.T, np.eye(width), atol=1e-9)
