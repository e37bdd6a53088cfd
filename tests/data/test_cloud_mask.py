"""What each value of a mask says, against the tables of those who make it."""

import numpy as np
import pytest

from data.cloud_mask import MASK_KINDS

HLS_BITS = {"cirrus": 1, "cloud": 2, "beside cloud": 4, "shadow": 8, "snow": 16, "water": 32, "aerosol": 192}


@pytest.mark.parametrize(
    ("kind", "cloud", "more"),
    [("scl", {8, 9, 10}, {0, 1, 3}), ("dea-fmask", {2}, {0, 3})],
)
def test_masks_of_classes(kind: str, cloud: set[int], more: set[int]) -> None:
    assert set(np.flatnonzero(MASK_KINDS[kind].cloud)) == cloud
    assert set(np.flatnonzero(MASK_KINDS[kind].masked)) == cloud | more


def test_hls_fmask_is_read_by_its_bits() -> None:
    mask = MASK_KINDS["hls-fmask"]
    for other in ("snow", "water", "aerosol", "cirrus"):
        values = {name: bit | HLS_BITS[other] for name, bit in HLS_BITS.items()}
        assert {name for name, value in values.items() if mask.cloud[value]} == {"cloud", "beside cloud"}
        assert {name for name, value in values.items() if mask.masked[value]} == {
            "cloud",
            "beside cloud",
            "shadow",
        }
    assert (mask.cloud[255], mask.masked[255]) == (False, True)  # no data
