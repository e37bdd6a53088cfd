"""`skyhex search`, `changes` and `outliers`: questions that rows of the table answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from indexer.errors import QueryError

from . import search_options as words
from .answer import Give, on_table, with_answer
from .conditions import with_filter
from .options import DEFAULT_TABLE, SnapshotOption, TableOption, WeightsOption
from .progress import progress_bar, say
from .readable import CHANGES, HITS, OUTLIERS

if TYPE_CHECKING:
    from indexer.search.filter import Filter
    from indexer.table.embedding_table import EmbeddingTable

NOTES_SHOWN = 8  # a batch may have one for each query

app = typer.Typer()


@app.command()
@with_answer()
@with_filter()
def search(
    filter: "Filter",
    give: Give,
    cell: words.CellOption = None,
    lonlat: words.LonLatOption = None,
    chip: words.ChipOption = None,
    vector: words.VectorOption = None,
    text: words.TextOption = None,
    not_cell: words.NotCellOption = None,
    not_lonlat: words.NotLonLatOption = None,
    not_chip: words.NotChipOption = None,
    not_vector: words.NotVectorOption = None,
    not_text: words.NotTextOption = None,
    match: words.MatchOption = "mean",
    negative_weight: words.NegativeWeightOption = 0.5,
    using: words.UsingOption = "fused",
    against: words.AgainstOption = "fused",
    no_align: words.NoAlignOption = False,
    invert: words.InvertOption = False,
    queries: words.QueriesOption = None,
    k: words.KOption = 20,
    per_parent: words.PerParentOption = None,
    parent_res: words.ParentResOption = None,
    relevance: words.RelevanceOption = None,
    include_query: words.IncludeQueryOption = False,
    explain: words.ExplainOption = False,
    shard_workers: words.ShardWorkersOption = None,
    shard_limit: words.ShardLimitOption = None,
    device: words.SearchDeviceOption = None,
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    weights: WeightsOption = "nano",
) -> None:
    """Where else does it look like this? All conditions given must hold."""
    from indexer.search.search import search as search_table
    from indexer.search.words import diversity_of, query_of
    from indexer.table.embedding_table import EmbeddingTable
    from pipeline.on_device.searcher import searcher_of

    from .search_words import Examples

    like = Examples(cell, lonlat, chip, vector, text)
    unlike = Examples(not_cell, not_lonlat, not_chip, not_vector, not_text)
    diversity = diversity_of(per_parent=per_parent, parent_res=parent_res, relevance=relevance)
    _check_one_or_many(queries, bool(like or unlike), bool(diversity or invert))
    opened = EmbeddingTable.open(table, snapshot)
    with searcher_of(device, shard_workers, shard_limit, say) as crew:
        if queries is not None:
            from indexer.search.batch import read_queries, search_batch

            named = read_queries(queries, using=using, against=against, align=not no_align)
            with progress_bar("search", "queries") as progress:
                hits = search_batch(opened, named, k, filter, include_query, progress, crew)
        else:
            query = query_of(
                like.read(opened, using, weights),
                unlike.read(opened, using, weights),
                using=using,
                against=against,
                match=match,
                negative_weight=negative_weight,
                align=not no_align,
                invert=invert,
            )
            hits = search_table(opened, query, k, filter, include_query, diversity, crew=crew)
    _say_notes(opened, hits.notes)
    if explain:
        say(f"plan: {hits.plan}")
    give(hits.rows, HITS)


@app.command()
@with_answer()
@on_table()
@with_filter(without=("start", "end"))
def changes(
    filter: "Filter",
    table: "EmbeddingTable",
    give: Give,
    before: words.BeforeOption,
    after: words.AfterOption,
    column: words.ColumnOption = "fused",
    k: words.KOption = 20,
) -> None:
    """What changed most: each place compared with itself in another period."""
    from indexer.search.changes import changes as changes_of_table
    from indexer.search.words import column_of, period_of

    from .info import comparable_years

    periods = period_of(before), period_of(after)
    rows = changes_of_table(table, *periods, k, filter=filter, column=column_of(column))
    none = None if len(rows) else "no place has a row in both periods"
    _say_notes(table, [note for note in (comparable_years(table), none) if note])
    give(rows, CHANGES)


@app.command()
@with_answer()
@on_table()
@with_filter()
def outliers(filter: "Filter", table: "EmbeddingTable", give: Give, k: words.KOption = 20) -> None:
    """What is rare in its region: rows least like any of its prototypes."""
    from indexer.prototypes.regional import outdated
    from indexer.search.outliers import outliers as outliers_of_table

    rows = outliers_of_table(table, k, filter)
    none = None if len(rows) else "no row with a prototype matches the filter"
    _say_notes(table, [note for note in (outdated(table), none) if note])
    give(rows, OUTLIERS)


def _check_one_or_many(queries: Path | None, like: bool, for_one_alone: bool) -> None:
    if queries is None and not like:
        raise QueryError(
            "Nothing to look like was given; add --cell ID, --lonlat LON LAT, --chip TIF, --vector FILE, "
            "--text TEXT, or many with --queries FILE"
        )
    if queries is not None and (like or for_one_alone):
        raise QueryError(
            "--queries FILE holds all that is looked for: leave out other examples, --invert, --per-parent "
            "and --relevance"
        )


def _say_notes(table: "EmbeddingTable", notes: Sequence[str]) -> None:
    """What the reader should know, on stderr."""
    from .info import provenance

    for note in (*notes[:NOTES_SHOWN], *filter(None, [provenance(table)])):
        say(note, "note")
    if len(notes) > NOTES_SHOWN:
        say(f"and {len(notes) - NOTES_SHOWN:,} more notes of this kind", "note")
