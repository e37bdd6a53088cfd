"""Units are decided once a scene, from metadata and from the scene's own values as witness."""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio

from data.cover import plan_chips
from data.grid import PixelGrid
from data.modality import MODALITIES
from data.reader import read_chip, read_sample
from data.sample import InputError, Sample, SampleSpec
from data.scene import BandSource, Scene
from data.scene_values import SIDE_PX, scene_values, window_values
from data.units import FLOOR_POWER, WHITE_REFLECTANCE, Units, decide, to_db, units_of

SPEC = SampleSpec()
AT = datetime(2025, 3, 2, tzinfo=UTC)
GRID = PixelGrid("EPSG:32632", (10, 0, 0, 0, -10, 0), (64, 64))
# Reflectance x 10000 of B02 B03 B04 B05 B06 B07 B08 B8A B11 B12, typical, and how far it scatters.
GROUND = {
    "vegetation": ((350, 600, 500, 900, 2000, 2400, 2600, 2800, 1900, 1000), 80),
    "desert": ((1900, 2700, 3600, 3900, 4100, 4300, 4500, 4600, 5600, 5100), 200),
    "ice": ((9300, 9200, 9000, 8900, 8700, 8500, 8300, 8000, 1500, 1300), 200),
    "full cloud": ((7000, 6900, 6800, 6900, 7000, 7100, 7200, 7200, 5000, 4000), 300),
    "open sea": ((420, 300, 180, 150, 120, 110, 100, 90, 40, 30), 15),
    "lake": ((120, 160, 110, 80, 50, 45, 40, 35, 15, 10), 8),
    "polar twilight": ((240, 220, 200, 190, 170, 160, 150, 140, 40, 30), 12),
    "burnt scar": ((250, 300, 350, 420, 480, 520, 560, 620, 1400, 1700), 60),
}
CORRECTED_ONLY = ("vegetation", "burnt scar", "open sea", "lake", "polar twilight")  # dark enough to prove it


def scene(modality="s2", **fields):
    bands = tuple(BandSource(name, f"{name}.tif", 1) for name in MODALITIES[modality].bands)
    return Scene("item", None, modality, "L2A", bands, GRID, AT, AT, AT, **fields)


def ground(kind, plus=0, scale=1.0, dtype=np.uint16):
    """(10, 64, 64) numbers as a product of this kind of ground writes them."""
    mean, spread = GROUND[kind]
    rng = np.random.default_rng(0)
    values = rng.normal(np.array(mean)[:, None, None], spread, (10, 64, 64)).clip(1) + plus
    return (values * scale).round(0 if np.dtype(dtype).kind != "f" else 4).astype(dtype)


def decided(raw, modality="s2", **fields):
    of = scene(modality, **fields)
    return decide(of, window_values(of, raw, np.ones(raw.shape[1:], bool)))


@pytest.mark.parametrize("kind", GROUND)
@pytest.mark.parametrize(("offset", "plus"), [(0, 0), (-1000, 1000), (None, 1000), (0, 1000)])
def test_no_ground_is_dropped_before_or_after_baseline_04(kind, offset, plus):
    units = decided(ground(kind, plus), offset=offset)
    assert (units.contradiction, units.offset, units.scale) == ("", offset or 0, 1)


@pytest.mark.parametrize("kind", GROUND)
def test_many_values_below_the_offset_prove_that_it_is_gone_and_their_absence_proves_nothing(kind):
    units = decided(ground(kind), offset=-1000)
    assert bool(units.contradiction) == (kind in CORRECTED_ONLY)
    assert units.offset == (0 if kind in CORRECTED_ONLY else -1000)
    if units.contradiction:
        assert units.as_told.offset == -1000


def test_some_dark_values_under_the_offset_are_noise():
    raw = ground("vegetation", 1000)
    raw[2].ravel()[:150] = 600  # 3.7 % of its red
    assert decided(raw, offset=-1000).contradiction == ""


def test_a_handful_of_values_proves_nothing():
    assert decided(ground("vegetation")[:, :4, :4], offset=-1000).contradiction == ""


def test_water_darker_than_any_is_a_picture():
    with pytest.raises(InputError, match="percent"):
        decided(ground("open sea", 0, 0.1))


def test_an_unknown_offset_is_proven_to_be_gone():
    (note,) = decided(ground("vegetation"), offset=None).notes
    assert "no +1000 is in them" in note


@pytest.mark.parametrize("kind", ["vegetation", "desert", "full cloud", "burnt scar"])
@pytest.mark.parametrize(("scale", "dtype", "said"), [
    (0.01, np.uint16, "percent"), (0.01, np.float32, "percent"), (255 / 10000, np.uint16, "8 bits"),
    (255 / 10000, np.uint8, "8 bits"), (1e-4, np.float32, "multiply by 10000"),
])  # fmt: skip
def test_percent_eight_bits_and_parts_of_one_are_told(kind, scale, dtype, said):
    with pytest.raises(InputError, match=said):
        decided(ground(kind, 0, scale, dtype))


def test_eight_bits_are_refused_whatever_the_ground():
    with pytest.raises(InputError, match="8 bits"):
        decided(ground("open sea", 0, 0.1, np.uint8))


def test_a_declared_scale_is_applied():
    percent = ground("vegetation", 0, 0.01, np.float32)
    assert decided(percent, scale=0.01).scale == pytest.approx(100)
    assert decided(ground("vegetation", 0, 1e-4, np.float32), scale=1.0).scale == pytest.approx(10000)


def power(mean=(0.08, 0.016), shape=(64, 64)):
    rng = np.random.default_rng(1)
    return np.stack([rng.gamma(4, m / 4, shape) for m in mean]).astype(np.float32)


def in_db(linear):
    return (10 * np.log10(linear)).astype(np.float32)


@pytest.mark.parametrize(
    ("raw", "fields", "kind"),
    [
        (in_db(power()), {}, "dB"),
        (in_db(power()), {"unit": "dB"}, "dB"),
        (power(), {"unit": "linear"}, "power"),
        (power(), {"usual_unit": "power"}, "power"),
        (power() - np.float32(0.001), {"usual_unit": "power"}, "power"),
        (np.sqrt(power()), {"usual_unit": "amplitude"}, "amplitude"),
        (np.sqrt(power()), {"unit": "amplitude"}, "amplitude"),
        (in_db(power()), {"usual_unit": "power"}, "dB"),
    ],
)
def test_radar_is_told_by_its_unit_then_its_product_then_its_values(raw, fields, kind):
    assert decided(raw, "s1", **fields).kind == kind


@pytest.mark.parametrize("raw", [power(), np.sqrt(power())])
def test_linear_numbers_that_nothing_explains_are_refused(raw):
    with pytest.raises(InputError, match="amplitude or linear power"):
        decided(raw, "s1")


@pytest.mark.parametrize(("raw", "unit"), [(power(), "dB"), (in_db(power()), "linear")])
def test_a_unit_that_the_values_contradict_is_told(raw, unit):
    units = decided(raw, "s1", unit=unit)
    assert f"contradict their unit {unit!r}" in units.contradiction
    assert units.kind != units.as_told.kind


def test_values_that_prove_nothing_contradict_no_unit():
    raw = in_db(power())
    raw[:, :, 20:] = 5.0  # a city: 31 % below -1
    assert decided(raw, "s1", unit="dB").contradiction == ""


def test_uncalibrated_amplitude_is_out_of_range():
    with pytest.raises(InputError, match="expected -45 to 15"):
        decided(np.full((2, 64, 64), 200, np.uint16), "s1", usual_unit="amplitude")


def radar(tiny, raw, name="s1", **options):
    tiny.add("s1", name, raw.astype(np.float32), **options)
    (task,) = plan_chips(tiny.read(), SPEC).tasks
    sample = read_sample(task, SPEC)
    assert isinstance(sample, Sample), sample
    return sample, sample.series["s1"]


def test_amplitude_is_twenty_log_ten_and_power_ten(tiny):
    amplitude = np.stack([np.full((64, 64), 0.1), np.full((64, 64), 0.01)])
    tiny.add("s1", "a", amplitude.astype(np.float32), place="a", asset={"unit": "amplitude"})
    tiny.add("s1", "p", amplitude.astype(np.float32), place="p", asset={"unit": "power"})
    samples = [read_sample(task, SPEC) for task in plan_chips(tiny.read(), SPEC).tasks]
    found = {s.sample_id: s.series["s1"].pixels[0, :, 0, 0].tolist() for s in samples}
    np.testing.assert_allclose(found["a"], [-20, -40], atol=1e-4)
    np.testing.assert_allclose(found["p"], [-10, -20], atol=1e-4)


def test_power_below_zero_is_noise_floored_and_counted(tiny):
    raw = power()
    raw[1, :16] = -2e-4
    sample, series = radar(tiny, raw, asset={"unit": "linear"})
    assert series.valid.all()
    np.testing.assert_allclose(series.pixels[0, 1, :16], 10 * np.log10(FLOOR_POWER), atol=1e-4)
    (note,) = sample.notes
    assert note == ("s1", "power below 0 is noise, set to -50 dB (12.50% of the scene)")


@pytest.mark.parametrize("fill", [-9999, -32768, 65535])
@pytest.mark.parametrize("unit", ["dB", "linear"])
def test_fills_that_nothing_declares_are_masked_and_noted(tiny, fill, unit):
    raw = power() if unit == "linear" else in_db(power())
    raw[:, :8] = fill
    sample, series = radar(tiny, raw, asset={"unit": unit})
    np.testing.assert_array_equal(series.valid[0], np.arange(64)[:, None] >= np.full(64, 8))
    assert f"{fill} is taken as no data" in sample.notes[0][1]


def test_zero_in_both_bands_of_decibels_is_no_data_in_every_window(tiny):
    raw = in_db(power(shape=(64, 128)))
    raw[:, :, :20] = 0
    raw[0, 0, 100] = 0  # one band alone can be 0 dB
    tiny.add("s1", "s1", raw)
    west, east = (read_sample(task, SPEC) for task in plan_chips(tiny.read(), SPEC).tasks)
    if west.origin_m > east.origin_m:
        west, east = east, west
    np.testing.assert_array_equal(west.series["s1"].valid[0].any(axis=0), np.arange(64) >= 20)
    assert east.series["s1"].valid.all()
    assert west.notes == east.notes


def test_a_window_of_bright_city_is_read_as_its_scene_is(tiny):
    raw = in_db(power(shape=(64, 640)))
    raw[0, :, :64] = 8.0  # above 0 dB all over one window
    raw[1, :, :64] = 1.0
    tiny.add("s1", "s1", raw)
    samples = [read_sample(task, SPEC) for task in plan_chips(tiny.read(), SPEC).tasks]
    assert all(isinstance(sample, Sample) for sample in samples)
    assert max(float(s.series["s1"].pixels.min()) for s in samples) == 1.0


def contradicting(tiny):
    unset = {"sample:boa_offset": None, "s2:processing_baseline": "05.11"}
    tiny.add("s2", "wrong", ground("vegetation"), **unset, **{"earthsearch:boa_offset_applied": False})
    tiny.add("s1", "s1")
    return tiny.read()


def test_a_contradicted_scene_is_left_out_with_its_reason(tiny):
    (task,) = plan_chips(contradicting(tiny), SPEC).tasks
    sample = read_sample(task, SPEC)
    assert list(sample.series) == ["s1"]
    ((modality, reason),) = sample.dropped
    assert modality == "s2"
    assert "contradict their metadata" in reason
    assert "--on-contradiction trust" in reason


def test_trust_believes_the_metadata_and_says_so(tiny):
    catalog = contradicting(tiny)
    (dropped,), (task,) = (
        plan_chips(catalog, SPEC, on_contradiction=mode).tasks for mode in ("drop", "trust")
    )
    sample = read_sample(task, SPEC)
    assert (sample.series["s2"].pixels[0, 0] == 1).all()
    assert "metadata believed" in dict(sample.notes)["s2"]
    assert task.key != dropped.key
    with pytest.raises(InputError, match="expected drop or trust"):
        plan_chips(catalog, SPEC, on_contradiction="guess")


def hr(tiny, pixels, dtype, **options):
    tiny.add("hr", "hr", pixels.astype(dtype), **options)
    return [read_sample(task, SPEC) for task in plan_chips(tiny.read(), SPEC).tasks]


def test_reflectance_of_sixteen_bits_is_shown_as_the_metadata_scale_it(tiny):
    pixels = np.full((3, 64, 64), 1186)
    (sample,) = hr(tiny, pixels, np.uint16, asset={"raster:scale": 0.0001})
    assert (sample.series["hr"].pixels[0][:, :64, :64] == round(255 * 0.1186 / WHITE_REFLECTANCE)).all()
    assert "white at 0.3558" in dict(sample.notes)["hr"]


def test_a_scale_that_the_raster_declares_is_taken_where_the_item_says_none(tiny):
    path = tiny.add("hr", "hr", np.full((3, 64, 64), 1186, np.uint16))
    with rasterio.open(path, "r+") as raster:
        raster.scales = (0.0001,) * 3
    (sample,) = (read_sample(task, SPEC) for task in plan_chips(tiny.read(), SPEC).tasks)
    assert (sample.series["hr"].pixels[0][:, :64, :64] == round(255 * 0.1186 / WHITE_REFLECTANCE)).all()


def test_sixteen_bits_without_a_scale_are_refused_whole_dark_windows_too(tiny):
    pixels = np.full((3, 256, 512), 40)
    pixels[:, :, 256:] = 900
    samples = hr(tiny, pixels, np.uint16)
    assert len(samples) == 2
    for sample in samples:
        assert "expected digital numbers 0-255" in sample.reason


def test_eight_bits_need_no_values(tiny):
    tiny.add("hr", "hr")
    (of,) = tiny.read().scenes
    assert units_of(of) == Units()
    assert "bands" not in vars(scene_values(of))  # never read


def test_values_are_sampled_within_bounds_and_once(tiny):
    wide = np.broadcast_to(np.arange(1, 2001, dtype=np.uint16), (10, 100, 2000))
    tiny.add("s2", "s2", wide)
    (of,) = tiny.read().scenes
    values = scene_values(of)
    assert {band.size for band in values.bands} == {SIDE_PX * SIDE_PX}
    assert {float(values.bands[0].min()), float(values.bands[0].max())} == {1.0, 2000.0}
    assert scene_values(of) is values


@pytest.mark.parametrize("cirrus", [9, 10])
def test_the_cirrus_band_tells_whether_b8a_comes_last(raster, cirrus):
    pixels = np.full((13, 64, 64), 1500, np.uint16) + np.arange(13, dtype=np.uint16)[:, None, None]
    pixels[cirrus] = 15
    (series,) = read_chip(raster(pixels), SPEC).series.values()
    b8a, b11, b12 = series.pixels[0, [7, 8, 9], 0, 0].tolist()
    assert (b8a, b11, b12) == ((1512, 1510, 1511) if cirrus == 9 else (1508, 1511, 1512))


def test_a_chip_whose_bands_are_named_as_snap_does(raster):
    path = raster(in_db(power()), names=("Sigma0_VH_db", "Sigma0_VV_db"))
    series = read_chip(path, SPEC).series["s1"]
    np.testing.assert_array_equal(series.pixels[0], in_db(power())[::-1])


# Borders


def fine_s2(*values, count=1000):
    """(10, 1, count) reflectance of 3000 whose first numbers are `values`."""
    raw = np.full((10, 1, count), 3000, np.uint16)
    raw[:, 0, : len(values)] = values
    return raw


@pytest.mark.parametrize(
    ("dark", "count", "value", "gone"),
    [
        (50, 1000, 799, True),
        (49, 1000, 799, False),  # 4.9 %
        (50, 1000, 800, False),
        (20, 100, 799, True),
        (19, 100, 799, False),  # too few to prove it
    ],
)
def test_a_twentieth_and_twenty_values_below_800_prove_that_no_offset_is_there(dark, count, value, gone):
    raw = fine_s2(count=count)
    raw[4, 0, :dark] = value
    raw[4, 0, dark:] = 2900  # of its bands the darkest
    units = decided(raw, offset=-1000)
    assert bool(units.contradiction) == gone
    assert (units.as_told is not None) == gone
    if gone:
        assert f"{dark / count:.0%} of its darkest band lie below 800" in units.contradiction


def test_a_band_without_data_is_no_witness():
    raw = ground("vegetation", 1000)
    raw[3] = 0
    assert decided(raw, offset=-1000) == Units(offset=-1000.0)


def test_a_scene_without_any_value_is_what_its_metadata_say():
    assert decided(np.zeros((10, 8, 8), np.uint16), offset=-1000) == Units(offset=-1000.0)
    assert decided(np.full((2, 8, 8), np.nan, np.float32), "s1", unit="amplitude").kind == "amplitude"
    assert decided(np.full((2, 8, 8), np.nan, np.float32), "s1").kind == "dB"
    assert decided(np.full((3, 8, 8), np.nan, np.float32), "hr") == Units()


@pytest.mark.parametrize(
    ("top", "said"),
    [(1, "reflectance 0-1"), (2, "percent"), (255, "percent"), (256, "")],
)
def test_what_the_highest_values_tell(top, said):
    raw = np.full((10, 1, 500), top, np.uint16)
    if said:
        with pytest.raises(InputError, match=said):
            decided(raw)
    else:
        assert decided(raw).scale == 1


@pytest.mark.parametrize(
    ("visible", "infrared", "water"), [(120, 60, True), (120, 61, False), (100, 40, False), (101, 50, True)]
)
def test_water_is_above_a_hundred_and_twice_as_bright_to_the_eye_as_in_the_infrared(visible, infrared, water):
    raw = np.full((10, 1, 500), 60, np.uint16)
    raw[1], raw[8:] = visible, infrared
    if water:
        assert decided(raw) == Units(notes=decided(raw).notes)
    else:
        with pytest.raises(InputError, match="percent"):
            decided(raw)


@pytest.mark.parametrize(
    ("scale", "made"), [(1e-4, 1.0), (2e-4, 2.0), (1.00000001e-4, 1.0), (1.00001e-4, 1.00001)]
)
def test_a_scale_of_a_ten_thousandth_is_the_modalitys_own(scale, made):
    assert decided(ground("desert"), scale=scale).scale == pytest.approx(made, abs=1e-12)


@pytest.mark.parametrize("fill", [-32768.0, -9999.0, 65535.0])
def test_each_fill_is_told_by_its_value(fill):
    raw = ground("desert").astype(np.float32)
    raw[:, 0, :9] = fill
    units = decided(raw)
    assert units.fills == (fill,)
    assert units.notes[0] == f"{fill:g} is taken as no data, though nothing declares it"
    beside = ground("desert").astype(np.float32)
    beside[:, 0, 0] = fill + 1
    assert decided(beside).fills == ()


@pytest.mark.parametrize(("share_below", "told"), [(0.5, "dB"), (0.499, ""), (0.001, "power"), (0.002, "")])
def test_half_of_the_values_below_minus_one_prove_decibels_and_next_to_none_power(share_below, told):
    raw = np.full((2, 1, 500), 0.5, np.float32)
    raw.reshape(-1)[: round(1000 * share_below)] = -1.5
    against = {"dB": "linear", "power": "dB", "": "linear"}[told]
    units = decided(raw, "s1", unit=against)
    assert bool(units.contradiction) == bool(told)
    assert units.kind == (told or "power")


def test_minus_one_itself_is_no_proof_of_decibels():
    raw = np.full((2, 1, 500), -1.0, np.float32)
    assert decided(raw, "s1", unit="dB").contradiction.startswith("Sentinel-1 numbers of item contradict")


@pytest.mark.parametrize(
    ("word", "kind"),
    [("db", "dB"), ("decibel", "dB"), (" Decibels ", "dB"), ("linear", "power"), ("Linear Power", "power"),
     ("power", "power"), ("intensity", "power"), ("1", "power"), ("natural", "power"),
     ("amplitude", "amplitude"), ("linear amplitude", "amplitude")],
)  # fmt: skip
def test_words_for_units(word, kind):
    raw = {"dB": in_db(power()), "power": power(), "amplitude": np.sqrt(power())}[kind]
    assert decided(raw, "s1", unit=word) == Units(kind=kind)


def test_decibels_of_power_and_of_amplitude():
    assert to_db(np.array([0.1, 1, 100.0]), "power").tolist() == [-10, 0, 20]
    assert to_db(np.array([0.1, 1, 100.0]), "amplitude").tolist() == [-20, 0, 40]


def test_a_declared_scale_of_radar_is_applied_before_it_is_judged():
    units = decided(power() / np.float32(0.5), "s1", unit="power", scale=0.5)
    assert (units.scale, units.kind, units.contradiction) == (0.5, "power", "")
    assert decided(in_db(power()) * 100, "s1", scale=0.01).scale == 0.01
    with pytest.raises(InputError, match="expected -45 to 15"):
        decided(in_db(power()) * 100, "s1")


def test_zero_is_a_backscatter_where_it_is_power():
    raw = power()
    raw[:, :8] = 0
    units = decided(raw, "s1", unit="power")
    assert (units.zero_is_fill, units.notes) == (False, ())
    assert decided(in_db(power()), "s1").zero_is_fill is False


@pytest.mark.parametrize(
    ("values", "stands"),
    [
        ((0, 255), True),
        ((0, 256), False),
        ((-1, 255), False),
        ((0, 0.5), False),
        ((0, 1), True),
        ((0, 1.5), True),
    ],
)
def test_numbers_of_a_picture_go_from_0_to_255(values, stands):
    raw = np.zeros((3, 4, 4), np.float32)
    raw[0, 0, :2] = values
    if stands:
        assert decided(raw, "hr") == Units()
    else:
        with pytest.raises(InputError, match="expected digital numbers 0-255"):
            decided(raw, "hr")


def test_reflectance_of_a_picture_is_white_at_its_declared_share():
    units = decided(np.full((3, 4, 4), 900, np.uint16), "hr", scale=1e-4)
    assert units.scale == pytest.approx(255 * 1e-4 / 0.3558)
    assert units.notes == ("reflectance x 10000 shown as 0-255, white at 0.3558",)


@pytest.mark.parametrize(("modality", "edge", "beyond"), [("s2", 20000, 20001), ("s1", -45, -45.5)])
def test_the_median_of_a_scene_lies_in_its_modalitys_range(modality, edge, beyond):
    shape, dtype = (len(MODALITIES[modality].bands), 4, 4), MODALITIES[modality].dtype
    assert decided(np.full(shape, edge, dtype), modality) == Units(kind="dB" if modality == "s1" else "")
    with pytest.raises(InputError, match=f"has the median {beyond}"):
        decided(np.full(shape, beyond, dtype), modality)


def test_the_published_bands_and_statistics():
    """Weights were trained with these (SkySense's data settings): another number is another input."""
    sums = {name: (len(m.bands), sum(m.mean), sum(m.std), m.valid_range) for name, m in MODALITIES.items()}
    assert sums == {
        "hr": (3, pytest.approx(343.485), pytest.approx(172.89), (0, 255)),
        "s2": (10, pytest.approx(18840.684), pytest.approx(13562.332), (1, 20000)),
        "s1": (2, pytest.approx(-32.7409), pytest.approx(11.1685), (-45, 15)),
    }


def test_type_and_scale_of_a_scene_are_those_of_its_first_bands_own_band(raster):
    path = raster(np.arange(3 * 256, dtype=np.int16).reshape(3, 16, 16))
    with rasterio.open(path, "r+") as file:
        file.scales = (1.0, 0.5, 0.25)
    bands = tuple(BandSource(name, str(path), index) for name, index in (("B02", 2), ("B03", 3), ("B04", 1)))
    of = dataclasses.replace(scene(), bands=bands, nodata=300)
    values = scene_values(of)
    assert (values.dtype, values.raster_scale) == (np.int16, 0.5)
    assert [band[1] for band in values.bands] == [257, 513, 1]
    assert np.isnan(values.bands[0]).sum() == 1  # 300
    assert np.isnan(values.bands[2]).sum() == 0


def test_a_large_raster_without_overviews_is_sampled_in_sixteen_parts(raster, monkeypatch):
    monkeypatch.setattr("data.scene_values.SIDE_PX", 8)
    pixels = np.arange(100 * 60, dtype=np.int32).reshape(1, 100, 60)
    path = raster(pixels)
    of = dataclasses.replace(scene(), bands=(BandSource("B02", str(path), 1),))
    (values,) = scene_values(of).bands
    rows, cols = np.linspace(0, 98, 4).astype(int), np.linspace(0, 58, 4).astype(int)
    want = {int(v) for row in rows for col in cols for v in pixels[0, row : row + 2, col : col + 2].ravel()}
    assert len(values) == 64
    assert {int(v) for v in values} == want
