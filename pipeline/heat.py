"""A query of a table against the pixels of rasters: cosines at the rasters' own resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.products.heat import write_heat
from data.products.sources import Layout, Reading, open_rasters
from data.sample import InputError
from indexer.progress import Progress
from indexer.search.filter import Filter
from indexer.search.query import Query, resolve
from indexer.table.embedding_table import EmbeddingTable

from .raster_rows import model_info


def heat(
    table: EmbeddingTable,
    query: Query,
    files: Sequence[str],
    out: Path,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Write the cosine of every pixel of rasters to a query as a COG; its (height, width), and notes.

    Args:
        table: of pooled pixels of the same product.
        query: what to be like; of several examples their mean.
        files: rasters of one grid.
        reading: how they are read; by default as the table's product.

    Raises:
        InputError: a raster that cannot be read, or of another product than the table.
        QueryError: an unknown cell.
    """
    reading = reading or Reading(layout_of(table))
    config = table.model.config
    reading = replace(reading, model=reading.model or str(config.get("product") or table.model.name),
                      licence=reading.licence or table.model.licence)  # fmt: skip
    resolved = resolve(table, query, Filter())
    rasters, skipped = open_rasters(files, reading)
    if skipped:
        raise InputError(f"{skipped[0].sample_id}: {skipped[0].reason}")
    for raster in rasters:
        known = (model_info(raster.product, raster.dimension, "mean"),
                 model_info(raster.product, raster.dimension, "mean+std"))  # fmt: skip
        if table.model.digest not in {info.digest for info in known}:
            raise InputError(
                f"{raster.href} holds {raster.product.model}, the table {table.model.name}: other vectors"
            )
    vector = resolved.vectors[0][: rasters[0].dimension]  # of a table of means and deviations, the means
    return write_heat(rasters, vector, out, progress), resolved.notes


def layout_of(table: EmbeddingTable) -> Layout:
    """How a table's product comes in files."""
    product = str(table.model.config.get("product", ""))
    if product.startswith("alphaearth"):
        return "alphaearth"
    return "tessera" if product == "tessera" else "raster"
