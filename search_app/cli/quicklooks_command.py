"""`skyhex quicklooks`: imagery to look at, for a table whose rows name none."""

from datetime import datetime

import typer

from .options import (
    DEFAULT_TABLE,
    CatalogArgument,
    CollectionsOption,
    ItemQueryOption,
    MaxItemsOption,
    TableOption,
    names,
)
from .progress import say

app = typer.Typer()


@app.command()
def quicklooks(
    catalog: CatalogArgument,
    table: TableOption = DEFAULT_TABLE,
    collections: CollectionsOption = None,
    query: ItemQueryOption = None,
    max_items: MaxItemsOption = 20_000,
) -> None:
    """Attach a catalog's scenes: in the app they show rows that name no imagery."""
    import shapely

    from indexer.errors import QueryError
    from indexer.table.embedding_table import EmbeddingTable
    from pipeline.attached_scenes import attach

    from .embed_command import Dates, Source

    opened = EmbeddingTable.open(table)
    extent = opened.manifest.extent
    if extent is None:
        raise QueryError(f"{table} has no rows yet, so nothing to show: add rows first")
    dates = Dates(datetime.fromisoformat(extent.start), datetime.fromisoformat(extent.end))
    source = Source(
        catalog, collections=tuple(names(collections or None)), query=tuple(query or ()), max_items=max_items
    )
    scenes = source.read(table, shapely.box(*extent.bbox), dates, keep=False)
    attached, count = attach(opened, scenes.scenes)
    kept = ", ".join(f"{number:,} of {name.upper()}" for name, number in count.items())
    say(f"scenes attached: {kept}; snapshot {attached.snapshot}")
    say("pictures are read from the table's own folder and from what `skyhex app` is allowed to read")
