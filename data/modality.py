"""The three modalities: their bands, units and normalisation.

Band order and statistics follow the published SkySense / SkySense++ data settings.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Modality:
    """One kind of imagery, as the encoder takes it."""

    name: str  # "hr", "s2" or "s1": the suffix of table columns and command-line options
    title: str
    bands: tuple[str, ...]  # in the order of the channel axis
    dtype: str  # of the pixels in a Sample
    unit: str
    valid_range: tuple[float, float]  # the median of a scene outside this is a unit mix-up, not a scene
    mean: tuple[float, ...]  # per band, in `unit`
    std: tuple[float, ...]


HR = Modality(
    name="hr",
    title="high-resolution optical",
    bands=("R", "G", "B"),
    dtype="uint8",
    unit="digital number 0-255",
    valid_range=(0, 255),
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
)
S2 = Modality(
    name="s2",
    title="Sentinel-2 L2A",
    bands=("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"),
    dtype="uint16",
    unit="surface reflectance x 10000, 0 = nodata",
    valid_range=(1, 20000),
    mean=(
        884.297, 1144.162, 1297.473, 1624.910, 2194.642,
        2422.212, 2517.761, 2581.647, 2368.512, 1805.068,
    ),
    std=(
        1155.152, 1183.629, 1368.114, 1370.265, 1355.554,
        1416.515, 1474.789, 1439.309, 1455.521, 1343.484,
    ),
)  # fmt: skip
S1 = Modality(
    name="s1",
    title="Sentinel-1 GRD",
    bands=("VV", "VH"),
    dtype="float32",
    unit="backscatter in dB, NaN = nodata",
    valid_range=(-45, 15),
    mean=(-12.5485, -20.1924),
    std=(5.2570, 5.9115),
)
MODALITIES: dict[str, Modality] = {m.name: m for m in (HR, S2, S1)}
