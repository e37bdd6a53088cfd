"""Whether the 1000 that ESA adds to Sentinel-2's numbers since baseline 04.00 is still in the pixels."""

import re
from collections.abc import Mapping
from typing import Any

S2_OFFSET = -1000  # BOA_ADD_OFFSET and RADIO_ADD_OFFSET since processing baseline 04.00, digital numbers
FIRST_BASELINE = 4.0
_FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
_BASELINES = ("s2:processing_baseline", "sentinel:processing_baseline")
_VERSION = "processing:version"  # of the processor, and of software of any kind
_NAMES = ("s2:product_uri", "sentinel:product_id", "s2:granule_id", "title")
_BASELINE = re.compile(r"(\d\d?)\.?(\d\d)?")  # in "04.00", "N0400", "4.0"
_VERSION_BASELINE = re.compile(r"N?(\d\d)\.?(\d\d)")  # "05.11", "N0511", but not "2.10.3"
_IN_NAME = re.compile(r"_N(\d\d)\.?(\d\d)(?:_|$|\.)")  # of `S2A_MSIL2A_..._N0509_R073_...`


def s2_offset(properties: Mapping[str, Any], item_id: str = "", declared: float | None = None) -> int | None:
    """What is still to be added to digital numbers: 0, -1000, or None where nothing tells.

    Trusted in this order, each where the one before is silent:

    1. `sample:boa_offset`: already corrected, or said to be unknown.
    2. A flag that is true, `earthsearch:boa_offset_applied` or `sentinel:boa_offset_applied`: corrected.
       Earth Search leaves `raster:bands.offset` at -0.1 there (Element84/earth-search issue 66).
    3. The processing baseline, as a property (`s2:`, `sentinel:processing_baseline`, `processing:version`).
    4. The baseline in a product's name: `_N0511_`.
    5. `declared`, the asset's `raster:offset` or `raster:bands[].offset`, in reflectance.
    """
    return _evidence(properties, item_id, declared)[0]


def s2_offset_reason(properties: Mapping[str, Any], item_id: str = "", declared: float | None = None) -> str:
    """Which of the five says what `s2_offset` returns."""
    return _evidence(properties, item_id, declared)[1]


def _evidence(properties: Mapping[str, Any], item_id: str, declared: float | None) -> tuple[int | None, str]:
    noted = properties.get("sample:boa_offset")
    if noted is not None:
        return None if str(noted).upper().startswith("UNKNOWN") else 0, "sample:boa_offset"
    for flag in _FLAGS:
        if str(properties.get(flag)).lower() == "true":
            return 0, f"{flag} is true"
    baseline, where = _baseline(properties, item_id)
    if baseline:
        return (S2_OFFSET if baseline >= FIRST_BASELINE else 0), f"baseline {baseline:05.2f} ({where})"
    if declared is not None:
        return (S2_OFFSET if declared < 0 else 0), f"the asset's raster offset {declared:g}"
    return None, "nothing tells"


def baseline_of(properties: Mapping[str, Any], item_id: str = "") -> float:
    """4.0 for "04.00", "N0400" or 4.0, of a property or a product's name; 0 where absent."""
    return _baseline(properties, item_id)[0]


def _baseline(properties: Mapping[str, Any], item_id: str) -> tuple[float, str]:
    for name in _BASELINES:
        if match := _BASELINE.search(str(properties.get(name))):
            return _as_number(*match.groups()), name
    if match := _VERSION_BASELINE.fullmatch(str(properties.get(_VERSION))):
        return _as_number(*match.groups()), _VERSION
    for name, text in ((name, str(properties.get(name))) for name in _NAMES):
        if match := _IN_NAME.search(text):
            return _as_number(*match.groups()), name
    match = _IN_NAME.search(item_id)
    return (_as_number(*match.groups()), "the item's name") if match else (0.0, "")


def _as_number(whole: str, part: str | None) -> float:
    return float(f"{whole}.{part or 0}")
