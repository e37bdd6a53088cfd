"""What a simulated area is asked to be: where it lies, how large it is, and its character."""

from collections.abc import Mapping
from dataclasses import dataclass

from rasterio.warp import transform

from ..grid import utm_crs
from ..sample import InputError

HR_GSD_M = 2.5
S2_GSD_M = 10.0
SCL_GSD_M = 20.0


@dataclass(frozen=True)
class Character:
    """The proportions of a landscape. Lengths are in metres, places in shares of the area's side."""

    block_m: float  # between the centres of neighbouring blocks of fields
    parcel_m: tuple[float, float]  # typical width and length of one field
    crops: Mapping[str, float]  # share of fields, by material
    forest: float  # share of the land
    conifers: float  # share of the forest
    woods_follow_fields: float  # 0: edges as nature draws them, 1: along the blocks of fields
    relief_m: float  # between valley and hill
    river_m: float  # width
    lakes: tuple[tuple[float, float, float], ...]  # x, y, half-length
    towns: tuple[tuple[float, float, float], ...]  # x, y, radius; the first is the town, others villages
    roads: tuple[tuple[tuple[float, float], ...], ...]  # polylines of x, y
    quarry: tuple[float, float, float]  # x, y, half-length
    hedges: float  # share of blocks with hedges around


PLAIN = Character(
    block_m=950,
    parcel_m=(170, 520),
    crops={"winter cereal": 0.42, "maize": 0.22, "rapeseed": 0.17, "grassland": 0.12, "fallow": 0.07},
    forest=0.11,
    conifers=0.1,
    woods_follow_fields=0.75,
    relief_m=25,
    river_m=32,
    lakes=((0.30, 0.60, 0.022), (0.345, 0.625, 0.016)),
    towns=((0.64, 0.36, 0.125), (0.16, 0.24, 0.042), (0.27, 0.84, 0.05), (0.83, 0.8, 0.045)),
    roads=(
        ((-0.1, 0.19), (0.16, 0.24), (0.64, 0.36), (1.1, 0.42)),
        ((0.27, 1.1), (0.27, 0.84), (0.64, 0.36), (0.72, -0.1)),
        ((0.64, 0.36), (0.83, 0.8), (1.1, 0.95)),
    ),
    quarry=(0.42, 0.66, 0.022),
    hedges=0.06,
)
HILLS = Character(
    block_m=420,
    parcel_m=(62, 190),
    crops={"winter cereal": 0.16, "maize": 0.2, "rapeseed": 0.05, "grassland": 0.56, "fallow": 0.03},
    forest=0.38,
    conifers=0.6,
    woods_follow_fields=0.2,
    relief_m=260,
    river_m=13,
    lakes=((0.38, 0.42, 0.135),),
    towns=(
        (0.6, 0.36, 0.062), (0.17, 0.2, 0.026), (0.81, 0.76, 0.032), (0.25, 0.77, 0.028), (0.85, 0.17, 0.022)
    ),
    roads=(
        ((-0.1, 0.12), (0.17, 0.2), (0.6, 0.36), (0.85, 0.17), (1.1, 0.2)),
        ((0.6, 0.36), (0.81, 0.76), (0.25, 0.77), (-0.1, 0.85)),
        ((0.81, 0.76), (0.9, 1.1)),
    ),
    quarry=(0.70, 0.56, 0.02),
    hedges=0.35,
)  # fmt: skip


@dataclass(frozen=True)
class Area:
    """A square on the ground. `side_m` is a multiple of 20 m, so that the grids of all sensors agree."""

    name: str  # the place's slug in the catalog
    lon_deg: float  # centre
    lat_deg: float
    side_m: float
    character: Character = PLAIN

    def __post_init__(self) -> None:
        if self.side_m < 640 or self.side_m % SCL_GSD_M:
            raise InputError(f"side_m is {self.side_m}, expected a multiple of 20 m, at least 640 m")

    @property
    def crs(self) -> str:
        """The UTM zone of the centre."""
        return utm_crs(self.lon_deg, self.lat_deg)

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north in `crs`, on multiples of 20 m."""
        (x,), (y,) = transform("EPSG:4326", self.crs, [self.lon_deg], [self.lat_deg])
        west, south = ((round((centre - self.side_m / 2) / SCL_GSD_M) * SCL_GSD_M) for centre in (x, y))
        return west, south, west + self.side_m, south + self.side_m

    @property
    def footprint_deg(self) -> list[tuple[float, float]]:
        """Closed ring of lon, lat, counter-clockwise."""
        west, south, east, north = self.bounds_m
        x, y = (west, east, east, west, west), (south, south, north, north, south)
        lon, lat = transform(self.crs, "EPSG:4326", x, y)
        return list(zip(lon, lat, strict=True))


# Each lies around the centre of an H3 cell of resolution 4, so it is one region of prototypes. Together
# 1,063 cells of resolution 9 have their whole window of 640 m inside.
DEFAULT_AREAS = (
    Area("simulated-plain", 2.759, 49.749, 7840, PLAIN),
    Area("simulated-hills", 12.441, 47.991, 7840, HILLS),
)
