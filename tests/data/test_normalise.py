import numpy as np
import pytest

from data.grid import PixelGrid
from data.normalise import to_unit
from data.sample import InputError
from data.scene import BandSource, Scene

from ..tolerance import gamma

GRID = PixelGrid("EPSG:32632", (10, 0, 0, 0, -10, 0), (9, 9))
EVERYWHERE = np.ones((4, 4), bool)


def scene(modality, **fields):
    band = BandSource("?", "here.tif", 1)
    return Scene("i", None, modality, "", (band,), GRID, None, None, None, **fields)


def filled(value, bands=10, dtype=np.uint16):
    return np.full((bands, 4, 4), value, dtype)


def test_the_offset_is_subtracted_and_nodata_stays_nodata():
    raw = filled(3000)
    raw[:, 0, 0] = 0
    raw[2, 1, 1] = 500
    pixels, has_data = to_unit(scene("s2", offset=-1000), raw, EVERYWHERE)
    assert pixels.dtype == np.uint16
    assert not has_data[0, 0]
    assert has_data.sum() == 15
    assert pixels[0, 2, 2] == 2000
    assert pixels[2, 1, 1] == 1
    assert (pixels[:, 0, 0] == 0).all()


@pytest.mark.parametrize("offset", [0, None])
def test_no_offset_and_an_unknown_one_leave_reflectance_as_it_is(offset):
    raw = filled(3000)
    raw[4, 0, 0] = 0
    pixels, has_data = to_unit(scene("s2", offset=offset), raw, EVERYWHERE)
    assert has_data.all()
    assert pixels[4, 0, 0] == 1
    assert pixels[0, 0, 0] == 3000


def test_dark_water_under_the_offset_is_no_unit_error():
    pixels, _ = to_unit(scene("s2", offset=-1000), filled(980), EVERYWHERE)
    assert (pixels == 1).all()


@pytest.mark.parametrize(
    ("value", "hint"), [(0.21, "multiply by 10000"), (30000.0, "surface reflectance x 10000")]
)
def test_reflectance_in_another_unit_is_an_error_that_names_the_unit(value, hint):
    with pytest.raises(
        InputError, match=rf"here\.tif has the median {value:.6g}; expected 1 to 20000 .*{hint}"
    ):
        to_unit(scene("s2"), filled(value, dtype=np.float32), EVERYWHERE)


def test_only_most_of_the_pixels_decide_whether_the_unit_fits():
    raw = filled(3000, dtype=np.float32)
    raw[:, :1] = 40000.0
    assert to_unit(scene("s2"), raw, EVERYWHERE)[0].max() == 40000


def test_decibels_are_kept_and_linear_power_is_told():
    pixels, _ = to_unit(scene("s1"), filled(-12.5, 2, np.float32), EVERYWHERE)
    assert pixels.dtype == np.float32
    assert (pixels == -12.5).all()
    with pytest.raises(InputError, match="linear power; expected backscatter in dB"):
        to_unit(scene("s1"), filled(0.05, 2, np.float32), EVERYWHERE)


def test_linear_power_is_converted_where_the_metadata_says_so():
    raw = filled(0.1, 2, np.float32)
    raw[1, 0, 0] = 0
    pixels, has_data = to_unit(scene("s1", unit="linear"), raw, EVERYWHERE)
    assert not has_data[0, 0]
    assert np.isnan(pixels[:, 0, 0]).all()
    np.testing.assert_allclose(pixels[:, has_data], -10, rtol=gamma(8))  # a logarithm: within 4 last places


def test_decibels_in_hundredths_are_out_of_range():
    with pytest.raises(InputError, match=r"median -1250; expected -45 to 15 \(backscatter in dB"):
        to_unit(scene("s1"), filled(-1250, 2, np.int16), EVERYWHERE)


def test_eight_bit_colours_are_kept_and_averages_rounded():
    raw = filled(90, 3, np.uint8)
    assert to_unit(scene("hr"), raw, EVERYWHERE)[0] is raw
    assert (to_unit(scene("hr"), filled(90.6, 3, np.float32), EVERYWHERE)[0] == 91).all()


@pytest.mark.parametrize(("value", "dtype"), [(1000, np.uint16), (0.4, np.float32), (-3, np.int16)])
def test_colours_in_another_unit_are_an_error(value, dtype):
    with pytest.raises(InputError, match="expected digital numbers 0-255"):
        to_unit(scene("hr"), filled(value, 3, dtype), EVERYWHERE)


@pytest.mark.parametrize(("modality", "bands", "empty"), [("s2", 10, 0), ("s1", 2, np.nan), ("hr", 3, 0)])
def test_nothing_stays_nothing(modality, bands, empty):
    pixels, has_data = to_unit(scene(modality), filled(-7, bands, np.float32), ~EVERYWHERE)
    assert not has_data.any()
    np.testing.assert_array_equal(pixels, np.full((bands, 4, 4), empty))
