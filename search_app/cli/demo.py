"""The command `skyhex demo`: the main job on a simulated landscape, and what to try next."""

import time
from pathlib import Path

import h3
import numpy as np
import shapely

from data.simulate import simulate
from data.stac import read_catalog
from indexer.prototypes.regional import fit_prototypes
from indexer.search.query import Cell, Query
from indexer.search.search import search
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.open_storage import workspace

from ..form import Format
from ..output import emit
from .embed_command import Dates, run_embed
from .info import provenance
from .progress import progress_bar, say
from .readable import readable

IMAGERY = "simulated-imagery"


def run_demo(path: str) -> None:
    """Simulate, embed, fit prototypes, search; everything lands in `path`, imagery on this disk."""
    began = time.monotonic()
    say("skyhex demo: a simulated landscape, no real place on Earth")
    with progress_bar("simulate", "rasters") as progress:
        catalog = simulate(workspace(path, IMAGERY), progress=progress)
    report = run_embed(str(catalog), path, whole_area(catalog), Dates())
    assert report is not None
    with progress_bar("prototypes", "regions") as progress:
        fit_prototypes(report.table, progress=progress)
    table = EmbeddingTable.open(path)
    cell = typical_cell(table)
    hits = search(table, Query(positives=(Cell(cell),)), k=10)
    name = h3.int_to_str(cell)
    say(f"\nWhere else does it look like {name}? ({hits.plan})")
    emit(readable(hits.rows), Format.table, None)
    say(f"{provenance(table)}", "note")
    say(next_commands(path, name, time.monotonic() - began))


def whole_area(catalog: Path) -> shapely.Geometry:
    """Everything that the catalog's scenes cover, in lon/lat."""
    return shapely.union_all([scene.footprint for scene in read_catalog(str(catalog)).scenes])


def typical_cell(table: EmbeddingTable) -> int:
    """The cell at a third of the table: the same one in every run."""
    cells = np.concatenate([batch["h3_cell"].to_numpy() for batch in table.scan(["h3_cell"])])
    return int(cells[len(cells) // 3])


def next_commands(path: str, cell: str, seconds: float) -> str:
    """What to type next."""
    t = "" if path == "skyhex-data" else f" -t {path}"
    return f"""
Done in {seconds:.0f} s. Try next, with .venv/bin on the PATH:
  skyhex search --cell {cell}{t} -k 20 --explain
  skyhex search --cell {cell}{t} --format geojson -o hits.geojson
  skyhex sql "SELECT h3_string(h3_parent(h3_cell, 6)) AS place, count(*) FROM embeddings GROUP BY 1"{t}
  skyhex prototypes list{t}
  skyhex info{t}
  skyhex app{t}          the map, in your browser
"""
