"""A tile of vectors to committed rows: pixels a minute beside reading the file alone, memory, bytes kept.

    python -m benchmarks.import -o benchmarks/results/import.json

The tile is made up: 64 smooth fields with parcels and noise, as unit vectors in AlphaEarth's codes, in the
layout of its tiles (8192 x 8192 x 64 int8, blocks of 1024, zstd, rows from south to north). Reading, pooling
and importing are timed one after another in one run, because only their ratio survives a busy machine; CPU
seconds are those of the workers.
"""  # noqa: N999 - the name of the command it measures

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window as RasterWindow

from data.products.alphaearth import DIMENSION, read_tile
from data.products.pixel_cells import Window
from data.products.pooling import chunk_side_px, pool_chunk
from data.products.vector_raster import VectorRaster
from pipeline.import_rasters import Pooling, import_rasters, plan_rasters

from .machine import describe

PACKAGES = ("numpy", "rasterio", "h3ronpy", "pyarrow")
BLOCK = 1024
DISTINCT = 3  # blocks that are made; a row of eight ends on another than it began
PARCEL_PX = 24  # side of what grows the same, about
Spent = tuple[float, float]  # CPU seconds, and the largest resident size in MB

NOISE = 0.12  # of a value, beside fields of standard deviation 1


@dataclass(frozen=True)
class Measured:
    """One resolution."""

    resolution: int
    workers: int
    pixels: int
    rows: int
    decode_s: float
    decode_cpu_s: float
    pool_s: float  # decoding included
    pool_cpu_s: float
    import_s: float  # processes started, pooled, committed
    import_cpu_s: float  # of this process and of those
    pool_to_decode: float  # of CPU seconds
    import_to_decode: float  # of seconds
    million_pixels_per_minute: float  # of the import
    million_pixels_per_minute_of_cpu: float  # of the import, were every worker's core its own
    parent_mb: float  # largest resident size of this process, which commits, and made the tile
    table_mb: float
    worker_mb: float  # largest resident size of a process that pools


def make_tile(folder: Path, side: int = 8192, seed: int = 0) -> Path:
    """A tile of the layout, written block by block; DISTINCT blocks, over and over."""
    path = folder / "annual" / "2024" / "32N" / "xbench-0000000000-0000000000.tiff"
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(DIMENSION, DISTINCT * BLOCK // 128 + 2, BLOCK // 128 + 2)).astype(np.float32)
    noise = NOISE * rng.standard_normal((DIMENSION, BLOCK, BLOCK), dtype=np.float32)
    kinds = rng.normal(size=(8, DIMENSION)).astype(np.float32)  # what grows on parcels
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": DIMENSION, "dtype": "int8", "nodata": -128,
        "crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, 10, 5_300_000), "tiled": True,
        "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "zstd", "zstd_level": 1, "predictor": 2,
        "interleave": "band", "BIGTIFF": "YES", "NUM_THREADS": "ALL_CPUS",
    }  # fmt: skip
    blocks = [
        _block(coarse, np.roll(noise, 97 * n, 1), kinds, n * BLOCK, 0)
        for n in range(min(DISTINCT, (side // BLOCK) ** 2))
    ]
    with rasterio.open(path, "w", **profile) as file:
        for n, (row, col) in enumerate(product(range(0, side, BLOCK), repeat=2)):
            file.write(blocks[n % len(blocks)], window=RasterWindow(col, row, BLOCK, BLOCK))
    return path


def _block(
    coarse: NDArray[np.float32], noise: NDArray[np.float32], kinds: NDArray[np.float32], row: int, col: int
) -> NDArray[np.int8]:
    """Codes (64, BLOCK, BLOCK): fields between points 128 pixels apart, a kind for each parcel, noise."""
    at = np.arange(BLOCK) / 128
    low, part = np.floor(at).astype(int), (at - np.floor(at)).astype(np.float32)
    top, left = row // 128, col // 128
    rows = coarse[:, top + low] * (1 - part)[:, None] + coarse[:, top + low + 1] * part[:, None]
    values = rows[:, :, left + low] * (1 - part) + rows[:, :, left + low + 1] * part
    y, x = np.mgrid[row : row + BLOCK, col : col + BLOCK] // PARCEL_PX
    values += kinds[(x * 7 + y * 13 + x * y) % len(kinds)].transpose(2, 0, 1) + noise
    values /= np.sqrt(np.einsum("bhw,bhw->hw", values, values))
    return np.asarray((np.sqrt(np.abs(values)) * 127.5 + 0.5).clip(0, 127) * np.sign(values), np.int8)


def decode(raster: VectorRaster, window: Window, resolution: int) -> Spent:
    """Read a piece and do nothing with it."""
    began = time.process_time()
    for block in raster.blocks(window):
        raster.read(block)
    return time.process_time() - began, _peak_mb()


def pool(raster: VectorRaster, window: Window, resolution: int) -> Spent:
    """Read and pool a piece."""
    began = time.process_time()
    pool_chunk(raster, window, resolution)
    return time.process_time() - began, _peak_mb()


def _cpu_s() -> float:
    """Of this process and of its children, which are waited for."""
    for child in active_children():
        child.join()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_mb() -> float:
    """Largest resident size of this process: the kernel's own count also has that of the parent in it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1e3


def measure(tile: VectorRaster, resolution: int, workers: int, folder: Path) -> Measured:
    """Reading, pooling and importing of one tile, in this order."""
    pieces = list(tile.chunks(chunk_side_px(tile, resolution)))
    decode_s, decode_cpu_s, _ = _timed(decode, tile, pieces, resolution, workers)
    pool_s, pool_cpu_s, worker_mb = _timed(pool, tile, pieces, resolution, workers)
    pooling, table = Pooling(resolution), folder / f"table-{resolution}"
    began, cpu_before = time.perf_counter(), _cpu_s()
    done = import_rasters(plan_rasters([tile], pooling), pooling, table, workers=workers)
    import_s = time.perf_counter() - began
    import_cpu_s = _cpu_s() - cpu_before
    return Measured(
        resolution=resolution,
        workers=workers,
        pixels=tile.extent.pixels,
        rows=done.table.row_count,
        decode_s=decode_s,
        decode_cpu_s=decode_cpu_s,
        pool_s=pool_s,
        pool_cpu_s=pool_cpu_s,
        import_s=import_s,
        import_cpu_s=import_cpu_s,
        pool_to_decode=pool_cpu_s / decode_cpu_s,
        import_to_decode=import_s / decode_s,
        million_pixels_per_minute=tile.extent.pixels / import_s * 60 / 1e6,
        million_pixels_per_minute_of_cpu=tile.extent.pixels / import_cpu_s * max(workers, 1) * 60 / 1e6,
        parent_mb=_peak_mb(),
        table_mb=sum(file.bytes for file in done.table.files) / 1e6,
        worker_mb=worker_mb,
    )


def _timed(
    work: Callable[[VectorRaster, Window, int], Spent],
    tile: VectorRaster,
    pieces: Sequence[Window],
    resolution: int,
    workers: int,
) -> tuple[float, float, float]:
    """(seconds, CPU seconds of the workers, MB of the largest) for all pieces, on processes that are warm."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
        first = Window(0, 0, 64, 64)
        list(processes.map(work, [tile] * workers, [first] * workers, [resolution] * workers))
        began = time.perf_counter()
        spent = list(processes.map(work, [tile] * len(pieces), pieces, [resolution] * len(pieces)))
        seconds = time.perf_counter() - began
        return seconds, sum(cpu_s for cpu_s, _ in spent), max(mb for _, mb in spent)


def main(argv: Sequence[str] | None = None) -> None:
    """Make a tile, measure each resolution, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=8192, help="of the tile, pixels: a multiple of 1024")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[9, 11])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the tile is made (3 GB)")
    parser.add_argument("-o", "--out", type=Path)
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        path = make_tile(Path(folder), asked.side)
        tile = read_tile(str(path))
        size = path.stat().st_size
        results = [measure(tile, resolution, asked.workers, Path(folder)) for resolution in asked.resolutions]
    print(
        "| resolution | rows | decode s | pool s | import s | pool / decode (CPU) | 10^6 px/min | table MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for one in results:
        print(
            f"| {one.resolution} | {one.rows:,} | {one.decode_s:.1f} | {one.pool_s:.1f} | {one.import_s:.1f} "
            f"| {one.pool_to_decode:.2f} | {one.million_pixels_per_minute:.0f} | {one.table_mb:.0f} |"
        )
    if asked.out is not None:
        tile_is = {"side": asked.side, "bytes": size, "stored_share": size / (asked.side**2 * DIMENSION)}
        report = {"machine": describe(PACKAGES), "tile": tile_is, "results": [asdict(one) for one in results]}
        asked.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
