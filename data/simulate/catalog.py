"""Draw areas, write what each sensor sees of them as rasters, and describe it all as a STAC catalog."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pystac

from ..modality import HR, S1, S2
from ..sample import InputError
from . import scenes
from .area import DEFAULT_AREAS, Area
from .items import Scene, landcover_path, make_item, save_catalog
from .landscape import Landscape, make_landscape
from .raster import is_written, write_cog
from .surface import COVER

VERSION = 1  # of the simulation: raised when the same parameters give other pixels
YEAR = 2023
HR_DAY = 166
CLOUD_SHARES = (0.03, 0.12, 0.0, 0.07)  # of successive Sentinel-2 dates


class _Ground:
    """An area's landscape, drawn when first needed: a resumed run may need none."""

    def __init__(self, area: Area, seed: int) -> None:
        self.area, self.seed = area, seed

    @cached_property
    def landscape(self) -> Landscape:
        return make_landscape(self.area, self.seed)


def simulate(
    out_dir: Path,
    *,
    seed: int = 0,
    areas: tuple[Area, ...] = DEFAULT_AREAS,
    s2_dates: int = 4,
    s1_dates: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw a simulated landscape and return the path of its STAC catalog.

    Per area: one HR picture, `s2_dates` ten-band Sentinel-2 scenes with a scene classification, `s1_dates`
    Sentinel-1 scenes, and the land cover that they were drawn from (asset `labels_landcover`). The same
    parameters give the same pixels. A finished catalog of the same parameters is left as it is, an
    interrupted one is finished, and one of other parameters is replaced.

    Args:
        progress: called with (scenes done, scenes in all).

    Raises:
        InputError: `out_dir` holds a catalog that this function did not write.
    """
    asked = {"seed": seed, "areas": [asdict(a) for a in areas], "s2_dates": s2_dates, "s1_dates": s1_dates}
    parameters = json.loads(json.dumps(asked | {"version": VERSION}))
    path = Path(out_dir) / "catalog.json"
    if path.exists():
        if _parameters_of(path) == parameters:
            return path
        path.unlink()  # from here on the directory holds no finished catalog
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    plan = [(area, _scenes(area, s2_dates, s1_dates)) for area in areas]
    total = sum(len(of_area) for _, of_area in plan)
    items: list[tuple[Scene, pystac.Item]] = []
    for area, of_area in plan:
        ground = _Ground(area, seed)
        _write_landcover(path.parent, ground, digest)
        for scene in of_area:
            _write_scene(path.parent, scene, ground, digest)
            items.append((scene, make_item(path.parent, scene)))
            if progress:
                progress(len(items), total)
    save_catalog(path.parent, items, parameters)
    return path


def _scenes(area: Area, s2_dates: int, s1_dates: int) -> list[Scene]:
    """When each sensor looks: spread over the year, so that each season shows."""

    def at(day: float, hour: float) -> datetime:
        return datetime(YEAR, 1, 1, tzinfo=UTC) + timedelta(days=round(day) - 1, hours=hour)

    s2 = [Scene(area, "s2", at(365 * (i + 0.36) / s2_dates, 10.75), i) for i in range(s2_dates)]
    s1 = [
        Scene(area, "s1", at(365 * (i + 0.42) / s1_dates, (5.75, 17.25)[i % 2]), i) for i in range(s1_dates)
    ]
    return [Scene(area, "hr", at(HR_DAY, 9.5), 0), *s2, *s1]


def _write_landcover(root: Path, ground: _Ground, digest: str) -> None:
    path = landcover_path(root, ground.area)
    if not is_written(path, digest):
        cover = ground.landscape.cover()
        write_cog(path, cover[None], ground.area, digest, ("landcover",), nodata=0, legend=COVER)


def _write_scene(root: Path, scene: Scene, ground: _Ground, digest: str) -> None:
    """Write the rasters of a scene that are not there yet; `data` comes last, so it stands for all."""
    path = scene.path(root)
    if is_written(path, digest):
        return
    land, day = ground.landscape, scene.time.timetuple().tm_yday
    rng = np.random.default_rng([ground.seed, *scene.item_id.encode()])
    if scene.modality == "s2":
        share = CLOUD_SHARES[scene.number % len(CLOUD_SHARES)]
        pixels, scl = scenes.sentinel_2(land, day, share, rng)
        write_cog(scene.path(root, "_scl"), scl[None], scene.area, digest, ("SCL",), nodata=0)
        write_cog(path, pixels, scene.area, digest, S2.bands, nodata=0)
    elif scene.modality == "s1":
        backscatter = scenes.sentinel_1(land, day, scene.ascending, rng)
        write_cog(path, backscatter, scene.area, digest, S1.bands, nodata=np.nan)
    else:
        write_cog(path, scenes.high_resolution(land, day, rng), scene.area, digest, HR.bands)


def _parameters_of(path: Path) -> Any:
    """The parameters of a catalog that `simulate` wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["simulation:parameters"]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path} is there and is not a simulated catalog; choose another directory, it would be replaced"
        ) from None
