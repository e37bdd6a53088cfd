"""Files of outsiders that are far too large, go in circles or lead elsewhere: refused or bounded at once."""

from __future__ import annotations

import json
import random
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from data.access import Access
from data.cover import plan_chips
from data.reader import read_chip, read_sample
from data.sample import InputError, SampleSpec
from data.site import Skip
from data.stac import read_catalog
from indexer.errors import QueryError
from indexer.geo.geojson import whole_area

from ..data.conftest import TinyCatalog
from .trials import Foreign, Trials, outcome

MEMORY = 3 << 30  # more than this process has when a trial begins
SECONDS = 60.0
HUGE_PX = 1_000_000
SPEC = SampleSpec()


@contextmanager
def bounded() -> Iterator[None]:
    """What asks for much more memory fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def hostile(rng: random.Random, scratch: Path) -> Trials:
    """All kinds in turn, each with other numbers."""
    for number, (name, (make, allowed)) in enumerate(cycle(KINDS.items())):
        folder = scratch / str(number)
        folder.mkdir()
        job = make(folder, rng)
        began = time.monotonic()
        with bounded():
            found = outcome(job, InputError, QueryError)
        if isinstance(found, Foreign):
            yield f"{name}: {found.what}"
        elif time.monotonic() - began > SECONDS:
            yield f"{name}: took {time.monotonic() - began:.0f} s"
        elif not isinstance(found, allowed):
            yield f"{name}: {found!r:.200}"
        else:
            yield None


def _embedded(root: Path, access: Access | None = None) -> list[Any]:
    plan = plan_chips(read_catalog(root, access), SPEC)
    return [*plan.skipped, *(read_sample(task, SPEC) for task in plan.tasks)]


def _only_skips(root: Path) -> None:
    """Everything is left out, and says why."""
    found = _embedded(root)
    if not all(isinstance(one, Skip) and one.reason for one in found):
        raise AssertionError(f"read: {found!r:.200}")


def giant_shape(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """An item says that its raster is enormous."""
    tiny = TinyCatalog(folder)
    side = rng.choice((10**9, 10**12, 2**31, 2**63))
    tiny.add("s2", "one", shape=(16, 16), **{"proj:shape": [side, side]})
    root = tiny.write()
    return lambda: _embedded(root) and None


def giant_raster(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A sparse raster of 1e6 x 1e6, whose window of the model is small: read there alone."""
    path = folder / "huge.tif"
    profile = {"driver": "GTiff", "count": 3, "height": HUGE_PX, "width": HUGE_PX, "dtype": "uint8",
               "tiled": True, "blockxsize": 4096, "blockysize": 4096, "SPARSE_OK": True, "BIGTIFF": True,
               "crs": "EPSG:32632", "compress": "deflate"}  # fmt: skip
    gsd_m = rng.choice((0.001, 0.5))
    with rasterio.open(path, "w", transform=from_origin(600_000, 5_600_000, gsd_m, gsd_m), **profile):
        pass
    return lambda: read_chip(path, SPEC) and None


def circle(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """Catalogs that are children of each other."""
    count = rng.randrange(1, 6)
    for i in range(count):
        links = [{"rel": "child", "href": f"./{j}.json"} for j in range(count)]
        catalog = {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": str(i),
            "description": "x",
            "links": links,
        }
        (folder / f"{i}.json").write_text(json.dumps({**catalog, "links": links}))
    return lambda: _embedded(folder / "0.json")


def child_gone(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """One child is missing: the rest is read."""
    tiny = TinyCatalog(folder / "in")
    tiny.add("s2", "one", shape=(16, 16))
    tiny.write()
    links = [{"rel": "child", "href": href} for href in ("./gone.json", "./in/catalog.json")]
    rng.shuffle(links)
    catalog = {"type": "Catalog", "stac_version": "1.0.0", "id": "x", "description": "x", "links": links}
    (folder / "catalog.json").write_text(json.dumps(catalog))

    def read() -> None:
        read = [one for one in _embedded(folder / "catalog.json") if not isinstance(one, Skip)]
        if len(read) != 1:
            raise AssertionError("the rest was not read")

    return read


def many_corners(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """An area of more corners than are taken."""
    turn = np.linspace(0, 2 * np.pi, 1_000_010, endpoint=False)
    ring = np.stack([10 + np.cos(turn), 45 + np.sin(turn)], axis=1).round(6).tolist()
    (folder / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}))
    return lambda: whole_area(folder / "a.geojson")


def deep(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """Collections in collections, as deep as it takes."""
    depth = rng.choice((40, 500, 100_000))
    text = '{"type": "GeometryCollection", "geometries": [' * depth + "]}" * depth
    (folder / "a.geojson").write_text(text)
    return lambda: whole_area(folder / "a.geojson")


def bomb(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """An archive of areas that unpacks to far more than it is."""
    with (
        zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.gpkg", "w") as file,
    ):
        file.write(b"SQLite format 3\0")
        for _ in range(300):
            file.write(bytes(1 << 20))
    return lambda: whole_area(folder / "a.zip")


def elsewhere(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """An item whose raster lies in another folder, or at an inner address: not read."""
    tiny = TinyCatalog(folder / "in")
    tiny.add("s2", "one", shape=(16, 16))
    other = TinyCatalog(folder / "other").add("s2", "two", shape=(16, 16))
    path = folder / "in" / "one" / "one.json"
    document = json.loads(path.read_text())
    href = rng.choice((str(other), f"file://{other}", f"../../other/two/{other.name}", "http://127.0.0.1:9/x.tif",
                       f"/vsizip/{other}", "http://169.254.169.254/x.tif", "/etc/hostname"))  # fmt: skip
    document["assets"]["data"]["href"] = href
    path.write_text(json.dumps(document))
    root = tiny.write()
    return lambda: _only_skips(root)


def few_bands(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A raster with fewer bands than its item says: the reason for its date."""
    tiny = TinyCatalog(folder)
    raster = tiny.add("s2", "one", shape=(16, 16))
    with rasterio.open(raster) as dataset:
        pixels, profile = dataset.read(), dataset.profile
    count = rng.randrange(1, len(pixels))
    with rasterio.open(raster, "w", **(profile | {"count": count})) as dataset:
        dataset.write(pixels[:count])
    root = tiny.write()
    return lambda: _only_skips(root)


REFUSED, FINE = (InputError, QueryError), (InputError, QueryError, type(None))
KINDS: dict[str, tuple[Callable[[Path, random.Random], Callable[[], Any]], tuple[type, ...]]] = {
    "giant shape": (giant_shape, FINE),
    "giant raster": (giant_raster, FINE),
    "circle": (circle, REFUSED),
    "child gone": (child_gone, (type(None),)),
    "deep": (deep, REFUSED),
    "bomb": (bomb, REFUSED),
    "elsewhere": (elsewhere, FINE),
    "few bands": (few_bands, (type(None),)),
    "many corners": (many_corners, REFUSED),
}
