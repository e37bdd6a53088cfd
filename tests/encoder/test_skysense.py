"""The whole model: each step alone, subsets of modalities, dates, masks, geo-context."""

from collections.abc import Callable
from dataclasses import replace

import h3
import pytest
import torch
from torch import Tensor

from data.sample import Sample
from encoder.batch import Batch, SeriesBatch, collate
from encoder.config import SkySenseConfig
from encoder.initialise import initialise
from encoder.skysense import SkySense, cell_validity, pool

from .float64 import in_float64

Make = Callable[..., Sample]
HR, S2, S1 = (2, 1, 3, 16, 16), (2, 3, 10, 16, 16), (2, 2, 2, 16, 16)


def batch_of(model: SkySense, *samples: Sample) -> Batch:
    return in_float64(collate(samples, model.config.px_per_cell, (4, 4)))


def dated(model: SkySense) -> SkySense:
    """The model with date encodings large enough to tell."""
    torch.nn.init.normal_(model.date_encoding.table)
    return model


def test_each_encoder_alone(model: SkySense) -> None:
    assert model.encode_hr(torch.randn(HR)).shape == (2, 1, 16, 4, 4)
    assert model.encode_s2(torch.randn(S2)).shape == (2, 3, 16, 4, 4)
    assert model.encode_s1(torch.randn(S1)).shape == (2, 2, 16, 4, 4)


def test_dates_are_encoded_one_by_one(model: SkySense) -> None:
    pixels = torch.randn(S2)
    together = model.encode_s2(pixels)
    alone = torch.stack([model.encode_s2(pixels[i, t][None, None])[0, 0] for i in range(2) for t in range(3)])
    torch.testing.assert_close(together.flatten(0, 1), alone)


@pytest.mark.parametrize("pixels", [torch.zeros(2, 10, 16, 16), torch.zeros(2, 3, 9, 16, 16)])
def test_a_wrong_shape_is_named(model: SkySense, pixels: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected \(B, T, 10, H, W\)"):
        model.encode_s2(pixels)


def test_a_model_without_a_modality_says_so(config: SkySenseConfig) -> None:
    model = SkySense(replace(config, hr=None))
    assert model.config.modalities == ("s2", "s1")
    with pytest.raises(ValueError, match="no hr encoder: it has s2, s1"):
        model.encode_hr(torch.zeros(HR))


@pytest.mark.parametrize("names", [("hr",), ("s2",), ("s1",), ("hr", "s1"), ("hr", "s2", "s1")])
def test_any_subset_fuses(model: SkySense, names: tuple[str, ...]) -> None:
    shapes = {"hr": HR, "s2": S2, "s1": S1}
    maps = {name: getattr(model, f"encode_{name}")(torch.randn(shapes[name])) for name in names}
    assert model.fuse(maps).shape == (2, 16, 4, 4)


def test_maps_of_different_grids_are_refused(model: SkySense) -> None:
    with pytest.raises(ValueError, match="maps of one batch on one grid are expected"):
        model.fuse({"hr": torch.zeros(1, 1, 16, 4, 4), "s2": torch.zeros(1, 2, 16, 4, 5)})


def test_invalid_tokens_equal_absent_ones(model: SkySense) -> None:
    maps = {"hr": torch.randn(2, 1, 16, 4, 4), "s2": torch.randn(2, 3, 16, 4, 4)}
    days = {"s2": torch.tensor([[10, 100, 200]]).expand(2, -1)}
    valid = torch.tensor([True, False, True])[None, :, None, None].expand(2, -1, 4, 4)
    fewer = model.fuse(
        {"hr": maps["hr"], "s2": maps["s2"][:, [0, 2]]}, {"s2": torch.tensor([[10, 200]]).expand(2, -1)}
    )
    torch.testing.assert_close(model.fuse(maps, days, {"s2": valid}), fewer)
    nothing = {"s2": torch.zeros_like(valid)}
    torch.testing.assert_close(model.fuse(maps, days, nothing), model.fuse({"hr": maps["hr"]}))


@pytest.mark.parametrize(("setting", "changed"), [("all", {"hr", "s2", "s1"}), ("s2", {"s2"})])
def test_date_encoding_reaches_the_modalities_of_the_setting(
    config: SkySenseConfig, setting: str, changed: set[str]
) -> None:
    model = SkySense(replace(config, date_encoding=setting))
    initialise(model, seed=1)
    dated(model)
    for name in ("hr", "s2", "s1"):
        maps = {name: torch.randn(1, 1, 16, 4, 4)}
        january, july, unknown = (model.fuse(maps, {name: torch.tensor([[day]])}) for day in (1, 200, 0))
        assert torch.allclose(january, july) == (name not in changed)
        torch.testing.assert_close(unknown, model.fuse(maps))


def test_date_encoding_is_added_before_the_projection(model: SkySense) -> None:
    dated(model)
    s2 = torch.randn(1, 2, 16, 4, 4)
    added = s2 + model.date_encoding.table[[4, 99]][None, :, :, None, None]
    torch.testing.assert_close(
        model.fuse({"s2": s2}, {"s2": torch.tensor([[5, 100]])}), model.fuse({"s2": added})
    )


def test_embed_is_the_pooled_normalised_fused_map(model: SkySense, make_sample: Make) -> None:
    batch = batch_of(model, make_sample(0), make_sample(1))
    made = model.embed(batch)
    maps = {
        "hr": model.encode_hr(batch.series["hr"].pixels),
        "s2": model.encode_s2(batch.series["s2"].pixels),
        "s1": model.encode_s1(batch.series["s1"].pixels),
    }
    fused = model.fuse(maps, {name: s.day_of_year for name, s in batch.series.items()})
    torch.testing.assert_close(made.fused, fused)
    mean = fused.mean(dim=(2, 3))
    torch.testing.assert_close(made.embedding, mean / mean.norm(dim=1, keepdim=True))
    assert made.embedding_geo is None
    assert made.cell_valid.all()


def test_one_modality_alone_is_a_sample_with_that_modality(model: SkySense, make_sample: Make) -> None:
    sample = make_sample()
    made = model.embed(batch_of(model, sample))
    for name in ("hr", "s2", "s1"):
        alone = model.embed(batch_of(model, replace(sample, series={name: sample.series[name]})))
        torch.testing.assert_close(made.by_modality[name], alone.embedding)
        torch.testing.assert_close(alone.by_modality[name], alone.embedding)


def test_an_absent_modality_is_nan_in_a_mixed_batch(model: SkySense, make_sample: Make) -> None:
    made = model.embed(batch_of(model, make_sample(0), make_sample(1, dates={"s2": 2})))
    assert made.by_modality["s1"][1].isnan().all()
    assert made.by_modality["s1"][0].isfinite().all()
    assert made.embedding.isfinite().all()


def test_without_by_modality_there_are_none(model: SkySense, make_sample: Make) -> None:
    assert model.embed(batch_of(model, make_sample()), by_modality=False).by_modality == {}


def test_pooling_leaves_out_cells_without_data(model: SkySense) -> None:
    pixels = torch.randn(1, 1, 10, 16, 16)
    valid = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    valid[..., 8:] = False
    series = SeriesBatch(pixels * valid[:, :, None], valid, torch.zeros(1, 1, dtype=torch.long))
    made = model.embed(Batch({"s2": series}, torch.zeros(1, dtype=torch.long)))
    assert made.cell_valid[0, :, :2].all()
    assert not made.cell_valid[0, :, 2:].any()
    torch.testing.assert_close(
        made.embedding, torch.nn.functional.normalize(made.fused[..., :2].mean(dim=(2, 3)), dim=1)
    )


def test_cell_validity_wants_half_of_the_pixels_or_takes_any() -> None:
    valid = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    valid[0, 0, 0, :2] = True  # half of the first cell
    valid[0, 0, 2, 2] = True  # a quarter of the last
    valid[1, 0, 3, 0] = True  # nowhere half: a quarter of one cell is all there is
    cells = cell_validity(valid, px_per_cell=2, min_fraction=0.5)
    assert cells[0, 0].tolist() == [[True, False], [False, False]]
    assert cells[1, 0].tolist() == [[False, False], [True, False]]


@pytest.mark.float32
def test_bfloat16_stays_close_and_gives_float32(model: SkySense, make_sample: Make) -> None:
    samples = make_sample(0), make_sample(1, dates={"s2": 3})
    batch = collate(samples, model.config.px_per_cell, (4, 4))
    model.hold_prototypes(torch.tensor([0x8428309FFFFFFFF]), torch.randn(1, 3, 16), torch.tensor([3]))
    exact = model.embed(batch)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = model.embed(batch)
    assert rough.embedding.dtype == rough.by_modality["s2"].dtype == torch.float32
    assert rough.embedding_geo is not None
    assert rough.embedding_geo.dtype == torch.float32
    assert (rough.embedding * exact.embedding).sum(dim=1).min() > 0.999


def test_parts_compile_whole_and_to_the_same(config: SkySenseConfig, make_sample: Make) -> None:
    """Without a break in the graph: a break would run most of a deep model uncompiled."""
    hr, s2 = replace(config.hr, depths=(2, 1)), replace(config.s2, depth=1)
    model = SkySense(replace(config, hr=hr, s2=s2, s1=None, fusion=replace(config.fusion, depth=1))).prepare()
    batch = batch_of(model, make_sample(0, dates={"hr": 1, "s2": 2}))
    before = model.embed(batch, by_modality=False).embedding
    for part in (*model.encoders.values(), *model.heads.values(), *model.fusion.layers):
        part.compile(backend="eager", fullgraph=True)
    torch.testing.assert_close(model.embed(batch, by_modality=False).embedding, before)


def test_pool_of_no_cells_is_zero_not_nan() -> None:
    assert (pool(torch.randn(1, 4, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool)) == 0).all()


def test_geo_context_half(model: SkySense, make_sample: Make) -> None:
    known = make_sample(0)
    elsewhere = replace(known, h3_cell=h3.str_to_int(h3.latlng_to_cell(35.7, 139.7, 9)))
    region = h3.str_to_int(h3.cell_to_parent(h3.int_to_str(known.h3_cell), 4))
    model.hold_prototypes(torch.tensor([region]), torch.randn(1, 3, 16), torch.tensor([3]))
    made = model.embed(batch_of(model, known, elsewhere))
    assert made.embedding_geo is not None
    assert made.embedding_geo.shape == (2, 32)
    assert made.embedding_geo[1].isnan().all()
    cells = model.geo_context(made.fused, torch.tensor([known.h3_cell, elsewhere.h3_cell]))
    assert cells.shape == (2, 32, 4, 4)
    assert (cells[1, 16:] == 0).all()
    mean = cells[0].mean(dim=(1, 2))
    torch.testing.assert_close(made.embedding_geo[0], mean / mean.norm())
    torch.testing.assert_close(made.embedding[0], made.embedding[1])
