"""The ground itself: which unit (field, stand, house, ...) lies at each pixel of 2.5 m, and its relief."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .area import HR_GSD_M, S2_GSD_M, Area
from .fields import PARCELS_PER_BLOCK, Blocks, make_blocks
from .noise import Field, block_mean, enlarge, fractal_noise, grain_noise
from .surface import COVER, MATERIAL_CODE, Units, make_units
from .terrain import River, make_relief, make_river, oval, pixel_centres
from .towns import HOUSES, STREET_BLOCKS, Buildings, TownUnits, distance_to_road, make_buildings, town_units

Ids = NDArray[np.int32]
FINE = int(S2_GSD_M / HR_GSD_M)  # HR pixels along one Sentinel pixel
_BEND_M = np.float32(45)  # how far roads, fields and banks stray from straight lines
_BAND_PX = 64  # rows painted at once: bounds memory


@dataclass(frozen=True)
class Landscape:
    """The ground truth that all sensors look at. Row 0 is north, column 0 west."""

    area: Area
    units: Units
    unit: Ids  # (H, W) at 2.5 m: row of `units`
    elevation_m: Field  # (h, w) at 10 m
    soil: Field  # (h, w) at 10 m, variance 1: where plants grow better inside a field
    crowns: Field  # (H, W) at 2.5 m, variance 1: tree crowns and the gaps between

    def cover(self) -> NDArray[np.uint8]:
        """Land cover codes of COVER at 10 m, (h, w): the commonest of each pixel's 16 fine ones."""
        fine = self.units.cover[self.unit]
        votes = np.stack([block_mean((fine == code).astype(np.float32), FINE) for code in COVER])
        codes: NDArray[np.uint8] = np.array(list(COVER), np.uint8)[votes.argmax(axis=0)]
        return codes


@dataclass(frozen=True)
class _UnitIds:
    """Unit ids by use; where many, the first of them."""

    parcel: int  # 256 per block
    broadleaf: int  # one stand per block
    conifer: int  # one stand per block
    meadow: int  # one per block
    hedge: int
    track: int
    river: int
    lake: int
    quarry: int
    town: TownUnits


@dataclass(frozen=True)
class _Plan:
    """What decides which unit lies at a point. Coarse fields are (h, w) at 10 m with variance 1."""

    area: Area
    ids: _UnitIds
    blocks: Blocks
    river: River
    buildings: Buildings
    crowns: Field  # (H, W) at 2.5 m
    bend: tuple[Field, Field]
    woods: Field
    stands: Field
    block_woods: Field  # (blocks,) value of `woods` at the block's seed
    hedged: NDArray[np.bool_]  # (blocks,)
    tracked: NDArray[np.bool_]  # (blocks,)
    forest_level: float
    conifer_level: float


@dataclass(frozen=True)
class _Points:
    """A band of pixels of 2.5 m, in metres east and south of the corner."""

    rows: slice
    x: Field  # bent, so that nothing is straight for long
    y: Field
    block: Ids
    edge_m: Field  # from the block's edge


def make_landscape(area: Area, seed: int) -> Landscape:
    """Draw an area. The same area and seed give the same landscape."""
    rng = np.random.default_rng([seed, *area.name.encode()])
    size_px = round(area.side_m / S2_GSD_M)
    crowns = grain_noise(rng, size_px * FINE, period_px=3.6)
    soil = fractal_noise(rng, size_px, scale_px=12)
    river = make_river(rng, area)
    elevation_m = make_relief(rng, area, river)
    slope_south, slope_east = np.gradient(elevation_m)
    blocks = make_blocks(rng, area, np.arctan2(slope_south, slope_east))
    units, ids = _allocate(rng, area, blocks)
    plan = _plan(rng, area, ids, blocks, river, crowns, elevation_m)
    unit = np.empty(crowns.shape, np.int32)
    for top in range(0, len(unit), _BAND_PX):
        rows = slice(top, min(top + _BAND_PX, len(unit)))
        unit[rows] = _paint(plan, rows)
    return Landscape(area, units, unit, elevation_m, soil, crowns)


def _allocate(rng: np.random.Generator, area: Area, blocks: Blocks) -> tuple[Units, _UnitIds]:
    """Give every unit its id and its material."""
    materials: list[NDArray[np.uint8]] = []

    def add(count: int, shares: dict[str, float]) -> int:
        first = sum(map(len, materials))
        codes = np.array([MATERIAL_CODE[name] for name in shares], np.uint8)
        materials.append(rng.choice(codes, count, p=list(shares.values())))
        return first

    n = len(blocks.angle_rad)
    parcel = add(n * PARCELS_PER_BLOCK, dict(area.character.crops))
    ids = _UnitIds(
        parcel=parcel,
        broadleaf=add(n, {"broadleaf": 1}),
        conifer=add(n, {"conifer": 1}),
        meadow=add(n, {"grassland": 1}),
        hedge=add(1, {"broadleaf": 1}),
        track=add(1, {"track": 1}),
        river=add(1, {"river": 1}),
        lake=add(1, {"lake": 1}),
        quarry=add(1, {"gravel pit": 1}),
        town=TownUnits(
            house=add(HOUSES, {"tiled roof": 0.7, "slate roof": 0.3}),
            garden=add(HOUSES, {"lawn": 1}),
            works=add(STREET_BLOCKS, {"metal roof": 0.7, "slate roof": 0.3}),
            asphalt=add(1, {"asphalt": 1}),
            tree=add(1, {"garden tree": 1}),
        ),
    )
    material = np.concatenate(materials)
    angle = np.zeros(len(material), np.float32)
    angle[: n * PARCELS_PER_BLOCK] = np.repeat(blocks.angle_rad, PARCELS_PER_BLOCK)
    return make_units(rng, material, angle), ids


def _plan(
    rng: np.random.Generator,
    area: Area,
    ids: _UnitIds,
    blocks: Blocks,
    river: River,
    crowns: Field,
    elevation_m: Field,
) -> _Plan:
    character, size_px = area.character, len(elevation_m)
    hilly = (elevation_m - elevation_m.mean()) / elevation_m.std() * min(1, character.relief_m / 200)
    woods = fractal_noise(rng, size_px, scale_px=90, slope=3) + hilly
    stands = fractal_noise(rng, size_px, scale_px=50, slope=3) + 0.5 * hilly
    pixel = np.clip(blocks.seed_m / S2_GSD_M, 0, size_px - 1).astype(int)
    block_woods = woods[pixel[1], pixel[0]]
    block, _ = blocks.nearest(*pixel_centres(size_px, size_px, S2_GSD_M))
    share = np.float32(character.woods_follow_fields)
    wish = share * block_woods[block] + (1 - share) * woods
    forest_level = np.quantile(wish, 1 - character.forest)
    return _Plan(
        area, ids, blocks, river, make_buildings(rng), crowns,
        bend=(fractal_noise(rng, size_px, 100, 4), fractal_noise(rng, size_px, 100, 4)),
        woods=woods,
        stands=stands,
        block_woods=block_woods,
        hedged=rng.random(len(block_woods)) < character.hedges,
        tracked=rng.random(len(block_woods)) < 0.4,
        forest_level=float(forest_level),
        conifer_level=float(np.quantile(stands[wish > forest_level], 1 - character.conifers)),
    )  # fmt: skip


def _paint(plan: _Plan, rows: slice) -> Ids:
    """Unit ids of a band of rows at 2.5 m; later layers cover earlier ones."""
    x, y = pixel_centres(rows.stop - rows.start, plan.crowns.shape[1], HR_GSD_M, rows.start)
    x, y = (p + _BEND_M * enlarge(bend, FINE, rows) for p, bend in zip((x, y), plan.bend, strict=True))
    points = _Points(rows, x, y, *plan.blocks.nearest(x, y))
    unit = plan.ids.parcel + plan.blocks.parcel(points.block, x, y)
    _paint_woods(plan, points, unit)
    _paint_river(plan, points, unit)
    _paint_settlement(plan, points, unit)
    _paint_lakes(plan, points, unit)
    return unit


def _paint_woods(plan: _Plan, at: _Points, unit: Ids) -> None:
    share = np.float32(plan.area.character.woods_follow_fields)
    wish = share * plan.block_woods[at.block] + (1 - share) * enlarge(plan.woods, FINE, at.rows)
    crowns = plan.crowns[at.rows]
    hedge = plan.hedged[at.block] & (at.edge_m > 3) & (at.edge_m < 9) & (crowns > -0.7)
    unit[hedge] = plan.ids.hedge
    unit[plan.tracked[at.block] & (at.edge_m < 2.6)] = plan.ids.track
    forest = wish + 0.015 * crowns > plan.forest_level
    conifer = enlarge(plan.stands, FINE, at.rows)[forest] + 0.05 * crowns[forest] > plan.conifer_level
    unit[forest] = np.where(conifer, plan.ids.conifer, plan.ids.broadleaf) + at.block[forest]


def _paint_river(plan: _Plan, at: _Points, unit: Ids) -> None:
    half_m = plan.area.character.river_m / 2
    from_bank_m = plan.river.distance_m(at.x, at.y) - half_m
    meadow = (from_bank_m < 2 * half_m + 45) & (unit < plan.ids.broadleaf)  # fields alone
    unit[meadow] = plan.ids.meadow + at.block[meadow]
    unit[(from_bank_m < 12) & (plan.crowns[at.rows] > -0.2)] = plan.ids.hedge
    unit[from_bank_m < 0] = plan.ids.river


def _paint_settlement(plan: _Plan, at: _Points, unit: Ids) -> None:
    side_m, character, wobble = plan.area.side_m, plan.area.character, enlarge(plan.stands, FINE, at.rows)
    for road in character.roads:
        distance_m = distance_to_road(at.x, at.y, tuple((x * side_m, y * side_m) for x, y in road))
        unit[(distance_m > 7) & (distance_m < 12) & (plan.crowns[at.rows] > 0.9)] = plan.ids.hedge
        unit[distance_m < 4.5] = plan.ids.town.asphalt
    for number, (east, south, radius) in enumerate(character.towns):
        u, v = at.x - east * side_m, at.y - south * side_m
        out = np.hypot(u, v) / (radius * side_m) * (1 + 0.2 * np.tanh(wobble))
        inside = out < 1
        cos, sin = np.cos(0.5 + number), np.sin(0.5 + number)
        along, across = (u * cos + v * sin)[inside], (v * cos - u * sin)[inside]
        trees = plan.crowns[at.rows][inside] > 0.8
        unit[inside] = town_units(plan.buildings, plan.ids.town, along, across, out[inside], trees)


def _paint_lakes(plan: _Plan, at: _Points, unit: Ids) -> None:
    side_m, wobble = plan.area.side_m, enlarge(plan.stands, FINE, at.rows)
    for (east, south, half_length), middle in (
        *((lake, plan.ids.lake) for lake in plan.area.character.lakes),
        (plan.area.character.quarry, plan.ids.quarry),
    ):
        out = oval(at.x, at.y, (east * side_m, south * side_m), half_length * side_m, np.tanh(wobble))
        shore = (out < 1.06) & (plan.crowns[at.rows] > -0.5)
        unit[shore] = plan.ids.hedge
        unit[out < 1] = middle
