"""What each provider's items say in words of its own: one row a collection.

An item's own fields come first; a row says what they leave out: which assets hold which bands, what masks
cloud, in which unit a radar's numbers are. A new provider is one row here and one test in
`tests/data/test_dialects.py`; `docs/imagery.md` prints the table.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

RGB = ("R", "G", "B")


@dataclass(frozen=True)
class Mask:
    """An asset that tells cloud and shadow."""

    asset: str  # pattern of its key
    kind: str  # of data/cloud_mask.py: "scl", "hls-fmask" or "dea-fmask"


@dataclass(frozen=True)
class Dialect:
    """How the items of one collection of one provider are to be read."""

    provider: str
    collections: tuple[str, ...]  # patterns of ids, lower case, `-` for `_`; "*" needs marks or names
    modality: str = ""  # "s2", "s1" or "hr"; "" = told by the item itself
    source: str = ""  # where an item, or a reader of it, was seen
    date: str = ""  # when that was looked up, or of the item
    seen: bool = True  # False: known from documents and readers alone, `unverified` in the docs
    marks: tuple[str, ...] = ()  # patterns of asset keys or properties, one of which the item must have
    names: str = ""  # regular expression that id or file name must hold; its groups are read by LETTERS
    bands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by pattern of asset key, in order
    others: tuple[str, ...] = ()  # patterns of asset keys that hold no band
    prefer: tuple[str, ...] = ()  # patterns of asset keys to be taken first
    mask: Mask | None = None
    level: str = ""  # processing level, where the item does not say it
    offset: int | None = None  # of Sentinel-2 numbers where the collection settles it; None = the item tells
    scale: float | None = None  # reflectance of one digital number, where the item does not say it
    unit: str = ""  # of radar: "power", "amplitude" or "dB"
    backscatter: str = ""  # of radar: "gamma0" or "sigma0"
    nodata: float | None = None
    refused: str = ""  # why its items cannot be used


LETTERS = {"g": "gamma0", "s": "sigma0", "p": "power", "a": "amplitude", "d": "dB"}

_COMMON = ("aot*", "wvp*", "scl*", "cloud*", "snow*", "thumbnail*", "preview*", "*tileinfo*", "*metadata*")
_SCL = Mask("scl", "scl")

DIALECTS: tuple[Dialect, ...] = (
    # Sentinel-2
    Dialect(
        "Earth Search v1", ("sentinel-2-l2a", "sentinel-2-c1-l2a", "sentinel-2-pre-c1-l2a"), "s2",
        "geopython/eodm tests, S2A_39QTA_20230628_0_L2A; Element84/earth-search issues 66 and 71", "2026-11",
        marks=("earthsearch:*",), others=(*_COMMON, "*-jp2", "visual*"), mask=_SCL,
    ),
    Dialect(
        "Earth Search v1", ("sentinel-2-l1c",), "s2",
        "stac-utils/stac-sentinel collections; Element84/earth-search issue 66", "2026-11", seen=False,
        marks=("earthsearch:*",), others=(*_COMMON, "*-jp2", "visual*"),
    ),
    Dialect(
        "Earth Search v0", ("sentinel-s2-l2a-cogs", "sentinel-s2-l2a", "sentinel-s2-l1c"), "s2",
        "opendatacube/odc-stac tests, S2A_28QCH_20200714_0_L2A", "2026-11",
        others=(*_COMMON, "visual*", "overview"), mask=_SCL,
    ),
    Dialect(
        "ESA EOPF Zarr", ("sentinel-2-l2a",), "s2",
        "EOPF-Sample-Service/eopf-stac, constants of its Sentinel-2 items", "2026-11", seen=False,
        marks=("SR_10m", "SR_20m"), others=(*_COMMON, "sr_*", "tci*", "product*", "zipped*"),
        mask=Mask("scl_*m", "scl"),
    ),
    Dialect(
        "Copernicus Data Space, STAC 1.1", ("sentinel-2-l2a", "sentinel-2-l1c"), "s2",
        "opendatacube/odc-stac tests, S2C_MSIL2A_20250330T100051_N0511_R122_T33UWP_20250330T145914",
        "2026-11", marks=("B02_10m", "B02_20m"), others=(*_COMMON, "tci*"), mask=Mask("scl_*m", "scl"),
    ),
    Dialect(
        "Planetary Computer", ("sentinel-2-l2a",), "s2",
        "stac-utils/stac-geoparquet tests, sentinel-2-l2a-pc.json", "2026-11",
        marks=("B8A",), others=(*_COMMON, "visual", "*tilejson", "rendered*"), mask=_SCL,
    ),
    Dialect(
        "Digital Earth Africa", ("s2-l2a", "s2-l2a-c1"), "s2",
        "gjoseph92/stackstac issue 132; opendatacube/odc-stac issue 40", "2026-11", seen=False,
        others=(*_COMMON, "visual*", "overview"), mask=_SCL,
    ),
    Dialect(
        "Digital Earth Australia", ("ga-s2?m-ard-3*",), "s2",
        "product definitions of digitalearthau; GeoscienceAustralia notebooks", "2026-11", seen=False,
        bands={
            "nbart_blue": ("B02",), "nbart_green": ("B03",), "nbart_red": ("B04",),
            "nbart_red_edge_1": ("B05",), "nbart_red_edge_2": ("B06",), "nbart_red_edge_3": ("B07",),
            "nbart_nir_1": ("B08",), "nbart_nir_2": ("B8A",),
            "nbart_swir_2": ("B11",), "nbart_swir_3": ("B12",),
        },
        others=("oa_*", "nbart_coastal_aerosol"), mask=Mask("oa_fmask", "dea-fmask"), level="L2A", offset=0,
        nodata=-999,
    ),
    Dialect(
        "NASA HLS S30 v2.0", ("hlss30*", "hls2-s30"), "s2",
        "band and mask names of HLS readers; HLS User Guide 2.0, tables 9 and 10", "2026-11", seen=False,
        others=("fmask", "saa", "sza", "vaa", "vza", "browse", "*metadata*"),
        mask=Mask("fmask", "hls-fmask"), level="L2A", offset=0, nodata=-9999,
    ),
    # Sentinel-1
    Dialect(
        "Sentinel-1 GRD as delivered", ("*sentinel*1*grd*",), "s1",
        "stactools-packages/sentinel1 examples, S1A_IW_GRDH_1SDV_20210809T173953_..._049F13",
        "2026-11", marks=("schema-calibration-*", "calibration-*", "schema-product-*", "safe-manifest"),
        refused="Sentinel-1 GRD as delivered is uncalibrated amplitude in radar geometry, placed by ground"
        " control points: take a terrain-corrected product of it, such as the collection sentinel-1-rtc",
    ),
    Dialect(
        "Planetary Computer", ("sentinel-1-rtc",), "s1",
        "stac-utils/stac-geoparquet tests, sentinel-1-rtc-pc.json", "2026-11",
        others=("*tilejson", "rendered*"), level="RTC", unit="power", backscatter="gamma0", nodata=-32768,
    ),
    Dialect(
        "Indigo on AWS", ("sentinel1-rtc-aws",), "s1",
        "stactools-packages/sentinel1 examples, S1A_20200103_17RMJ_ASC", "2026-11",
        bands={"gamma0_vv": ("VV",), "gamma0_vh": ("VH",)}, others=("incidence",),
        level="RTC", unit="power", backscatter="gamma0", nodata=0,
    ),
    Dialect(
        "Digital Earth Africa", ("s1-rtc",), "s1",
        "gjoseph92/stackstac issue 132; opendatacube/odc-stac issue 40", "2026-11", seen=False,
        others=("mask", "area", "angle"), level="RTC", unit="power", backscatter="gamma0",
    ),
    Dialect(
        "OPERA RTC-S1", ("opera-l2-rtc-s1*", "opera-rtc-s1*"), "s1",
        "file names in ASFHyP3/hyp3-OPERA-RTC and its readers", "2026-11", seen=False,
        others=("*mask*", "*browse*", "*incidence*", "*nlooks*"), level="RTC", unit="power",
        backscatter="gamma0",
    ),
    Dialect(
        "ASF HyP3 RTC", ("*",), "s1",
        "naming of HyP3's RTC products; ASFHyP3/hyp3-gamma issues 258 and 266", "2026-11", seen=False,
        names=r"_RTC\d\d_[A-Z]_(?P<backscatter>[gs])(?P<unit>[pad])[uw]",
        others=("*ls_map*", "*inc_map*", "*dem*", "*area*", "*rgb*"), level="RTC", nodata=0,
    ),
    # High-resolution optical
    Dialect(
        "USDA NAIP", ("naip",), "hr", "stac-utils/stac-geoparquet tests, naip-pc.json", "2026-11",
        bands={"image": (*RGB, "N")}, others=("*tilejson", "rendered*", "*metadata*"),
    ),
    Dialect(
        "Planet NICFI, analytic", ("planet-nicfi-analytic",), "hr",
        "stac-utils/stac-geoparquet tests, planet-nicfi-analytic-pc.json", "2026-11",
        bands={"data": ("B", "G", "R", "N")}, others=("udm*", "*tilejson", "rendered*", "thumbnail"),
        scale=1e-4,
    ),
    Dialect(
        "Planet NICFI, visual", ("planet-nicfi-visual",), "hr",
        "stac-utils/stac-geoparquet tests list the collection", "2026-11", seen=False,
        bands={"data": RGB}, others=("*tilejson", "rendered*", "thumbnail"),
    ),
    Dialect(
        "Maxar Open Data", ("*",), "hr", "readers in opengeos/leafmap and opengeos/maxar-open-data",
        "2026-11", seen=False, marks=("ms_analytic", "pan_analytic"), bands={"visual": RGB},
        prefer=("visual",), others=("*analytic", "*mask*"),
    ),
    Dialect(
        "Planet SkySat", ("*skysat*", "ssc[0-9]*"), "hr", "stactools-packages/planet, told", "2026-11",
        seen=False, bands={"*visual": RGB}, prefer=("*visual",), others=("*analytic*", "*udm*", "*pan*"),
    ),
    Dialect(
        "OpenAerialMap", ("openaerialmap*", "oam-*"), "hr", "hotosm/oam-api, told", "2026-11", seen=False,
        bands={"visual": RGB}, prefer=("visual",), others=("thumbnail", "metadata"),
    ),
    Dialect(
        "swisstopo SWISSIMAGE", ("ch.swisstopo.swissimage-dop10",), "hr",
        "file names at data.geo.admin.ch in public readers (swissimage-dop10_2018_2600-1200_0.1_2056.tif)",
        "2026-11", seen=False, bands={"swissimage-dop10_*": RGB}, prefer=("*_0.1_2056*",),
    ),
    # Look-alikes: names like Sentinel-2's, other sensors
    Dialect("HLS L30", ("hlsl30*", "hls2-l30"), refused="HLS L30 is Landsat: its B05 is near infrared"),
    Dialect("Landsat", ("*landsat*", "ga-ls*", "ls[45789]-*"), refused="Landsat is no sensor of this model"),
    Dialect(
        "MODIS and VIIRS", ("*modis*", "mod[01]*", "myd[01]*", "mcd[0-9]*", "*viirs*", "vnp[0-9]*"),
        refused="MODIS and VIIRS are no sensors of this model",
    ),
    Dialect(
        "Sentinel-3 and -5P", ("*sentinel-3*", "*sentinel-5p*"),
        refused="Sentinel-3 and Sentinel-5P are no sensors of this model",
    ),
    Dialect("ASTER", ("*aster-l1*", "ast-l1t*"), refused="ASTER is no sensor of this model"),
)  # fmt: skip
UNKNOWN = Dialect("told by its own fields", ("*",))


def dialect_of(
    collection: str, others: Iterable[str], asset_keys: Iterable[str], properties: Iterable[str], files: str
) -> Dialect:
    """The first row that fits an item, or `UNKNOWN`.

    Args:
        collection: Id of the collection, in any spelling.
        others: Constellation and platform, which stand for the collection where it says nothing.
        asset_keys: Of the item.
        properties: Their names.
        files: Id and file names of the item, in one text.
    """
    said = [text.lower().replace("_", "-") for text in (collection, *others) if text]
    marks = [*asset_keys, *properties]
    return next((row for row in DIALECTS if _fits(row, said, marks, files)), UNKNOWN)


def _fits(row: Dialect, said: list[str], marks: list[str], files: str) -> bool:
    if row.collections != ("*",) and not any(matches(text, row.collections) for text in said):
        return False
    if row.marks and not any(matches(mark, row.marks) for mark in marks):
        return False
    return not row.names or re.search(row.names, files) is not None


def matches(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text fits any pattern of `fnmatch`, whatever its case."""
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def spelled_in_name(row: Dialect, files: str) -> dict[str, str]:
    """What the letters in a product's name say: {"unit": "power", "backscatter": "gamma0"} or less."""
    match = re.search(row.names, files) if row.names else None
    return {key: LETTERS[letter] for key, letter in match.groupdict().items()} if match else {}


# Names of bands that any provider uses: common names of the eo extension, numbers, and words.
BAND_NAMES: dict[str, dict[str, str]] = {
    "hr": {"RED": "R", "GREEN": "G", "BLUE": "B"},
    "s2": {
        "BLUE": "B02", "GREEN": "B03", "RED": "B04",
        "REDEDGE1": "B05", "REDEDGE071": "B05",
        "REDEDGE2": "B06", "REDEDGE075": "B06",
        "REDEDGE3": "B07", "REDEDGE078": "B07",
        "NIR": "B08", "NIR08": "B8A", "SWIR16": "B11", "SWIR22": "B12",
        **{f"B{number}": f"B{number:02}" for number in range(1, 10)},
    },
    "s1": {
        f"{quantity}{name}{unit}": name
        for name in ("VV", "VH")
        for quantity in ("SIGMA0_", "GAMMA0_", "")
        for unit in ("", "_DB")
    },  # as SNAP names them
}  # fmt: skip
# What tells a modality by its bands alone: Sentinel-2 any red edge or narrow near infrared, HR all colours.
TELLTALE_BANDS = {"s1": {"VV"}, "s2": {"B05", "B06", "B07", "B8A"}, "hr": set(RGB)}
# Bands of lone files that do not name them, by their number: in the order of the products.
UNNAMED_BANDS: dict[str, dict[int, str]] = {
    "hr": {3: "R G B", 4: "R G B N"},
    "s1": {2: "VV VH"},
    "s2": {
        10: "B02 B03 B04 B05 B06 B07 B08 B8A B11 B12",
        12: "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12",
        13: "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12",
    },
}
# EuroSAT and data sets made like it put B8A last (phelber/EuroSAT issue 7, microsoft/torchgeo issue 2458).
B8A_LAST = "B01 B02 B03 B04 B05 B06 B07 B08 B09 B10 B11 B12 B8A"


def unnamed_bands(modality: str, medians: Sequence[float]) -> tuple[str, ...]:
    """The bands of a file that does not name them, by the number of its layers; none where no order is known.

    Of Sentinel-2's 13 the cirrus band tells the order: it is the darkest, and stands tenth where B8A is last.
    """
    order = UNNAMED_BANDS[modality].get(len(medians), "")
    darkest = min(range(len(medians)), key=lambda i: medians[i])
    if (modality, len(medians)) == ("s2", 13) and darkest == B8A_LAST.split().index("B10"):
        order = B8A_LAST
    return tuple(order.split())
