"""Late fusion: each sensor's own map, their weighted sum, and HR by colours and fixed filters."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from data.modality import S1, S2
from data.sample import ANY_TIME, ImageSeries, Sample
from encoder.batch import Batch, collate
from encoder.checkpoint import digest, load_weights, save_weights, weights_info
from encoder.colour_texture import ColourTexture
from encoder.config import PATTERNS, GeometryConfig, SeasonConfig, SkySenseConfig, TextureConfig, preset
from encoder.embed import EmbeddingBatch, Encoder
from encoder.geometry import Geometry
from encoder.initialise import initialise
from encoder.season import season
from encoder.skysense import SkySense, cell_validity

D = 16
pytestmark = pytest.mark.float32


SEASONS = {
    "s2": SeasonConfig(S2.mean, S2.std, True, days=3, reach_days=40.0, prior=0.1, weight=0.8),
    "s1": SeasonConfig(S1.mean, S1.std, False, days=2, reach_days=90.0, prior=1.0, weight=0.5),
}


def tiny(seasons: Mapping[str, SeasonConfig]) -> SkySenseConfig:
    """nano with fewer layers, a geometry, and colours in the place of the Swin."""
    nano = preset("nano")
    assert nano.s2 is not None
    assert nano.s1 is not None
    return replace(
        nano,
        hr=TextureConfig(filters=8),
        s2=replace(nano.s2, width=32, depth=1),
        s1=replace(nano.s1, width=32, depth=1),
        fusion=replace(nano.fusion, in_width=32, width=32, depth=1),
        geometry=GeometryConfig(dimension=D, rooted=("hr",), season=seasons),
    )


@pytest.fixture(params=["alone", "with seasons"])
def model(request: pytest.FixtureRequest) -> SkySense:
    made = SkySense(tiny({} if request.param == "alone" else SEASONS))
    initialise(made, 0)
    stream = np.random.RandomState(1)
    for name, buffer in made.named_buffers():
        if name.startswith("geometry.axes") or "filters" in name:
            buffer.copy_(torch.from_numpy(stream.normal(size=tuple(buffer.shape)).astype(np.float32)))
    return made.eval()


def sample(sensors: str, seed: int = 0, cells: int = 2) -> Sample:
    """Noise of some sensors."""
    rng = np.random.default_rng(seed)
    series = {}
    for name in sensors.split():
        bands, px, dtype = {"hr": (3, 32, "u1"), "s2": (10, 8, "u2"), "s1": (2, 8, "f4")}[name]
        pixels = rng.integers(1, 250, size=(2, bands, cells * px, cells * px)).astype(dtype)
        pixels = -pixels / 10 if name == "s1" else pixels
        valid = np.ones((2, cells * px, cells * px), bool)
        series[name] = ImageSeries(pixels.astype(dtype), valid, np.array([10, 200], np.int16), ("", ""))
    return Sample(
        sample_id=sensors, h3_cell=0, lon_deg=0.0, lat_deg=0.0, start=ANY_TIME[0], end=ANY_TIME[1],
        footprint=(), crs="", origin_m=(0.0, 0.0), grid_shape=(cells, cells), series=series,
        valid_fraction=1.0, cloud_fraction=0.0,
    )  # fmt: skip


def embed(model: SkySense, samples: list[Sample], dense: bool = False) -> EmbeddingBatch:
    return Encoder.of(model, weights_info(model, "tiny", trained=False, licence="")).embed(samples, dense)


def test_the_whole_is_the_weighted_sum_of_its_sensors(model: SkySense) -> None:
    every = embed(model, [sample("hr s2 s1")])
    parts = {name: vectors[0] for name, vectors in every.by_modality.items()}
    wanted = 0.5 * parts["hr"] + parts["s2"] + 0.5 * parts["s1"]
    np.testing.assert_allclose(every.embedding[0], wanted / np.linalg.norm(wanted), rtol=0, atol=1e-5)


def test_a_sensor_has_the_same_vector_whatever_stands_beside_it(model: SkySense) -> None:
    every, alone = embed(model, [sample("s2 s1")]), embed(model, [sample("s2")])
    np.testing.assert_allclose(alone.embedding, alone.by_modality["s2"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(every.by_modality["s2"], alone.embedding, rtol=0, atol=1e-5)
    assert np.isnan(alone.by_modality["s1"]).all()


def test_samples_of_other_subsets_in_the_batch_change_nothing(model: SkySense) -> None:
    mixed = [sample("hr"), sample("s2 s1", 1), sample("s1", 2)]
    together = embed(model, mixed)
    for i, one in enumerate(mixed):
        np.testing.assert_allclose(together.embedding[i], embed(model, [one]).embedding[0], rtol=0, atol=1e-5)


def test_what_leaves_the_model_is_single_precision_whatever_autocast_says(model: SkySense) -> None:
    batch = collate([sample("hr s2 s1"), sample("s2", 1)], model.config.px_per_cell, (2, 2))
    with torch.inference_mode():
        wanted = model.embed(batch)
        with torch.autocast("cpu", torch.bfloat16):  # as an encoder runs on a GPU
            made = model.embed(batch)
    for part in (made.embedding, made.fused, *made.by_modality.values()):
        assert part.dtype == torch.float32
    torch.testing.assert_close(made.by_modality["hr"], wanted.by_modality["hr"], equal_nan=True)  # counted
    for name in ("s2", "s1"):
        like = (made.by_modality[name] * wanted.by_modality[name]).sum(dim=1).nan_to_num(1.0)
        assert like.min() > 0.99


def test_the_dense_map_of_one_cell_is_the_embedding(model: SkySense) -> None:
    one = embed(model, [sample("s2 s1", cells=1)], dense=True)
    assert one.dense is not None
    np.testing.assert_allclose(one.dense[0, :, 0, 0], one.embedding[0], rtol=0, atol=1e-5)


def test_a_geometry_centres_and_maps() -> None:
    geometry = Geometry(GeometryConfig(dimension=2, rooted=("hr",)), {"hr": 2, "s2": 2})
    for name in ("hr", "s2"):
        geometry.get_buffer(f"axes_{name}").copy_(torch.eye(2))
        geometry.get_buffer(f"mean_{name}").copy_(torch.tensor([1.0, 0.0]))
    x = torch.tensor([[4.0, 9.0]])
    assert torch.allclose(geometry("s2", x), F.normalize(torch.tensor([[3.0, 9.0]])))
    assert torch.allclose(geometry("hr", x), F.normalize(torch.tensor([[1.0, 3.0]])))  # of square roots


def test_a_season_stands_beside_what_the_encoder_made() -> None:
    of_year = replace(SEASONS["s2"], days=1, mean=(0.0,), std=(1.0,), weight=0.5)
    geometry = Geometry(GeometryConfig(dimension=2, season={"s2": of_year}), {"s2": 2, "s2_season": 1})
    geometry.get_buffer("axes_s2").copy_(torch.eye(2))
    geometry.get_buffer("axes_s2_season").copy_(torch.tensor([[0.0, 3.0]]))
    made = geometry.with_season("s2", geometry("s2", torch.tensor([[2.0, 0.0]])), torch.tensor([[7.0]]))
    torch.testing.assert_close(made, F.normalize(torch.tensor([[1.0, 0.5]])))


def half_seen(model: SkySense) -> tuple[Batch, Tensor]:
    """2 x 3 cells of all sensors, one never seen and one on a single date, and which are seen at all."""
    part = sample("hr s2 s1", cells=3)
    cut = {}
    for name, px in model.config.px_per_cell.items():
        series = part.series[name]
        valid = series.valid[:, : 2 * px].copy()
        valid[:, :px, :px] = False
        valid[0, px:, 2 * px :] = False
        cut[name] = replace(series, pixels=series.pixels[:, :, : 2 * px], valid=valid)
    cells = torch.ones(1, 2, 3, dtype=torch.bool)
    cells[0, 0, 0] = False
    return collate([replace(part, series=cut, grid_shape=(2, 3))], model.config.px_per_cell, (2, 3)), cells


@torch.inference_mode()
def test_cells_and_whole_hold_the_seasons_and_colours_of_what_was_seen() -> None:
    model = SkySense(tiny(SEASONS)).eval()
    initialise(model, 0)
    stream = np.random.RandomState(2)
    for name, buffer in model.named_buffers():
        if "season" in name or "hr" in name or "filters" in name:
            buffer.copy_(torch.from_numpy(np.abs(stream.normal(size=tuple(buffer.shape))).astype("f4")))
    batch, cells = half_seen(model)  # no axes of s2 and s1: their vectors are the seasons alone
    made = model.embed(batch)
    assert model.geometry is not None
    for name in ("s2", "s1"):
        part = batch.series[name]
        assert part.valid is not None
        seen = cell_validity(part.valid, 8, 0.5)
        of_year = season(part.pixels, part.valid, seen, part.day_of_year, SEASONS[name])
        mean = torch.stack([of_year[0, :, y, x] for y, x in cells[0].nonzero()]).mean(dim=0)
        wanted = model.geometry(f"{name}_season", mean)
        torch.testing.assert_close(made.by_modality[name][0], wanted, rtol=0, atol=1e-5)
    hr = batch.series["hr"]
    counts = model.encode("hr", hr.pixels, hr.valid)  # (1, 2, D, 2, 3)
    assert hr.valid is not None
    shown = cell_validity(hr.valid, 32, 0.5)[:, :, None].float()
    each = (counts * shown).sum(dim=1) / shown.sum(dim=1).clamp(min=1)
    mean = torch.stack([each[0, :, y, x] for y, x in cells[0].nonzero()]).mean(dim=0)
    torch.testing.assert_close(made.by_modality["hr"][0], model.geometry("hr", mean), rtol=0, atol=1e-5)
    for y, x in cells[0].nonzero().tolist():  # each cell its own
        parts = {"hr": model.geometry("hr", each[0, :, y, x])}
        for name in ("s2", "s1"):
            part = batch.series[name]
            assert part.valid is not None
            seen = cell_validity(part.valid, 8, 0.5)
            of_year = season(part.pixels, part.valid, seen, part.day_of_year, SEASONS[name])
            parts[name] = model.geometry(f"{name}_season", of_year[0, :, y, x])
        torch.testing.assert_close(made.fused[0, :, y, x], model.geometry.join(parts), rtol=0, atol=1e-5)


def test_colours_are_counted_once_and_masked_pixels_not() -> None:
    part = TextureConfig(filters=2, patch_px=4)
    encoder = ColourTexture(part)
    dark = torch.full((1, 3, 4, 8), -2.1)
    dark[..., 4:] = 2.25
    found = encoder(dark)
    assert found.shape == (1, part.out_width, 1, 2)
    histogram = found[0, : part.bins**3]
    assert torch.allclose(histogram.sum(dim=0), torch.ones(1, 2))
    assert histogram[0, 0, 0] == pytest.approx(1)
    assert histogram[-1, 0, 1] == pytest.approx(1)
    valid = torch.ones(1, 4, 8, dtype=torch.bool)
    valid[:, :2] = False
    dark[:, :, :2] = 1.0  # where nothing is valid
    assert torch.allclose(encoder(dark, valid)[0, : part.bins**3], histogram)


def test_counts_are_in_single_precision_whatever_autocast_says() -> None:
    encoder, images = ColourTexture(TextureConfig(filters=2, patch_px=4)), torch.rand(1, 3, 4, 4)
    encoder.get_buffer("filters").fill_(0.7)
    with torch.autocast("cpu", torch.bfloat16):
        made = encoder(images)
    assert torch.equal(made, encoder(images))
    assert encoder.to("meta")(images.to("meta")).shape == made.shape


def test_a_filter_answers_with_both_signs() -> None:
    encoder = ColourTexture(TextureConfig(filters=1, patch_px=4, filter_px=1))
    encoder.get_buffer("filters").fill_(1.0)
    found = encoder(torch.full((1, 3, 4, 4), 1.0))[0, -2:, 0, 0]
    assert found.tolist() == [2.0, 0.0]  # 3 less the bias of 1
    assert encoder(torch.full((1, 3, 4, 4), -1.0))[0, -2:, 0, 0].tolist() == [0.0, 2.0]


def test_each_cell_holds_the_means_of_the_whole_images_maps() -> None:
    part = TextureConfig(filters=5, patch_px=4)
    encoder = ColourTexture(part).double()
    draw = torch.Generator().manual_seed(3)
    encoder.get_buffer("filters").copy_(torch.randn(5, 3, 3, 3, generator=draw))
    encoder.get_buffer("offset").copy_(torch.randn(5, generator=draw))
    images = torch.randn(2, 3, 8, 12, generator=draw, dtype=torch.float64)
    valid = torch.rand(2, 8, 12, generator=draw) > 0.3
    valid[0, :4, 4:8] = False  # a cell without a valid pixel
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    response = F.conv2d(padded, encoder.filters) - encoder.offset[:, None, None]
    level = (images + 2.1).clamp(min=0)
    maps = torch.cat([level, level**2, F.relu(response - 1), F.relu(-response - 1)], dim=1)
    count = F.avg_pool2d(valid[:, None].double(), 4)
    means = F.avg_pool2d(maps * valid[:, None], 4) / count.clamp(min=1 / 16)
    found = encoder(images, valid)
    torch.testing.assert_close(found[:, part.bins**3 :], means)
    seen = (count[:, 0] > 0).double()
    torch.testing.assert_close(found[:, : part.bins**3].sum(dim=1), seen)


def test_patterns_of_flat_lines_spots_and_noise_are_told_apart() -> None:
    part = TextureConfig(filters=1, patch_px=8, pattern_px=(1, 2))
    assert part.out_width == 64 + 6 + 2 + 2 * PATTERNS
    encoder = ColourTexture(part).double()

    def patterns(grey: Tensor, valid: Tensor | None = None) -> Tensor:
        found: Tensor = encoder(grey.double().expand(1, 3, 8, 8), None if valid is None else valid[None])
        return found[0, -2 * PATTERNS :, 0, 0].unflatten(0, (2, PATTERNS))

    def share(number: int, of: float = 1.0) -> Tensor:
        return of * F.one_hot(torch.tensor(number), PATTERNS).double()

    flat = patterns(torch.zeros(8, 8))
    torch.testing.assert_close(flat, share(0).expand(2, -1))  # no neighbour is brighter
    step = torch.zeros(8, 8)
    step[:, 4:] = 1.0  # an edge: dark pixels beside it have three brighter neighbours in one run
    torch.testing.assert_close(patterns(step)[0], share(3, 1 / 8) + share(0, 7 / 8))
    torch.testing.assert_close(patterns(step)[1], share(3, 1 / 4) + share(0, 3 / 4))  # of squares of 2 px
    torch.testing.assert_close(patterns(step.T), patterns(step))  # turned, it is the same
    torch.testing.assert_close(patterns(step + 1.5), patterns(step))  # and under other light
    stripes = torch.zeros(8, 8)
    stripes[:, ::2] = 1.0  # brighter on both sides: two runs, the last of all; at the border one
    torch.testing.assert_close(
        patterns(stripes)[0], share(PATTERNS - 1, 3 / 8) + share(3, 1 / 8) + share(0, 1 / 2)
    )
    left = torch.zeros(8, 8, dtype=torch.bool)
    left[:, :4] = True
    torch.testing.assert_close(patterns(step, left)[0], share(3, 1 / 4) + share(0, 3 / 4))  # of valid pixels


def plain_patterns(grey: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Soft uniform patterns of squares, one around them, as they are defined: (10,) sums."""
    out = np.zeros(PATTERNS)
    ring = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    for y in range(weight.shape[0]):
        for x in range(weight.shape[1]):
            centre = grey[y + 1, x + 1]
            bits = [min(max((grey[y + 1 + a, x + 1 + b] - centre - 0.02) / 0.06, 0), 1) for a, b in ring]
            turns = sum(abs(one - other) for one, other in zip(bits, bits[1:] + bits[:1], strict=True))
            uniform = min(max((4 - turns) / 2, 0), 1)
            for count in range(9):
                out[count] += weight[y, x] * uniform * max(1 - abs(sum(bits) - count), 0)
            out[9] += weight[y, x] * (1 - uniform)
    return out


@pytest.mark.parametrize("px", [1, 2])
def test_patterns_are_their_definition(px: int) -> None:
    encoder = ColourTexture(TextureConfig(filters=1, patch_px=8, pattern_px=(px,))).double()
    draw = np.random.default_rng(px)
    images = np.kron(draw.normal(0, 0.05, (1, 3, 8, 16)), np.ones((1, 1, px, px)))[..., :8, :16]
    images = images + draw.normal(0, 0.01, images.shape)  # steps about as high as a neighbour must be
    valid = draw.random((1, 8, 16)) > 0.2
    found = encoder(torch.from_numpy(images), torch.from_numpy(valid))[0, -PATTERNS:, 0].numpy()
    padded = np.pad(images[0].mean(axis=0), px, mode="edge")
    squares = padded.reshape(padded.shape[0] // px, px, -1, px).mean(axis=(1, 3))
    weights = valid[0].reshape(8 // px, px, 16 // px, px).sum(axis=(1, 3))
    side = 8 // px
    for cell in range(2):
        part = slice(cell * side, (cell + 1) * side)
        around = squares[:, cell * side : (cell + 1) * side + 2]
        wanted = plain_patterns(around, weights[:, part]) / valid[0, :, cell * 8 : cell * 8 + 8].sum()
        np.testing.assert_allclose(found[:, cell], wanted, atol=1e-12)


def test_a_pattern_hardly_moves_with_rounding() -> None:
    encoder = ColourTexture(TextureConfig(filters=1, patch_px=8, pattern_px=(1,))).double()
    draw = torch.Generator().manual_seed(5)
    levels = torch.randint(0, 6, (1, 3, 8, 8), generator=draw).double() * 0.02  # many ties and near ties
    moved = levels + 1e-7 * torch.randn(levels.shape, generator=draw, dtype=torch.float64)
    assert (encoder(moved) - encoder(levels)).abs().max() < 1e-4


def test_weights_with_a_geometry_are_read_back_and_older_ones_keep_their_digest(
    model: SkySense, tmp_path: Path
) -> None:
    save_weights(model, tmp_path / "w.safetensors", "tiny", trained=True, ranks={"embedding": 9.5})
    again, info = load_weights(tmp_path / "w.safetensors")
    assert again.config == model.config
    assert digest(again) == digest(model) == info.digest
    assert info.dimension == D
    assert info.config["effective_rank"] == {"embedding": 9.5}
    assert '"geometry"' not in preset("nano").to_json()
    assert SkySenseConfig.from_json(preset("nano").to_json()) == preset("nano")
