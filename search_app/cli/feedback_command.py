"""`skyhex feedback`: a search taught by marks, right or wrong, that a set of labels keeps."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import search_options as words
from .answer import give
from .conditions import with_filter
from .label_commands import FolderOption, SetOption
from .options import DEFAULT_TABLE, FormatOption, OutOption, TableOption, WeightsOption
from .progress import say
from .readable import HITS

if TYPE_CHECKING:
    from indexer.search.filter import Filter

app = typer.Typer()

RuleOption = Annotated[
    Literal["linear", "rocchio"],
    words.option(words.RESULTS, "A linear head on the vectors, or Rocchio's rule."),
]
ApartOption = Annotated[
    float, words.option(words.RESULTS, "Leave out what lies this near to a mark.", "KM", "--apart-km")
]
AskOption = Annotated[
    bool, words.option(words.RESULTS, "The rows to mark next, uncertain first, instead.", None, "--ask")
]


@app.command()
@with_filter()
def feedback(
    filter: "Filter",
    cell: words.CellOption = None,
    lonlat: words.LonLatOption = None,
    chip: words.ChipOption = None,
    vector: words.VectorOption = None,
    text: words.TextOption = None,
    name: SetOption = "feedback",
    by: RuleOption = "linear",
    apart_km: ApartOption = 0.0,
    ask: AskOption = False,
    k: words.KOption = 20,
    table: TableOption = DEFAULT_TABLE,
    folder: FolderOption = None,
    weights: WeightsOption = "nano",
    form: FormatOption = None,
    out: OutOption = None,
) -> None:
    """A search taught by a set of labels of two classes, `right` and `wrong`."""
    from indexer.labels.feedback import feedback as taught
    from indexer.labels.feedback import marks_of, rounds_of
    from indexer.labels.store import label_place, read_labels
    from indexer.search.query import Query
    from indexer.table.embedding_table import EmbeddingTable

    from .search_words import Examples

    opened = EmbeddingTable.open(table)
    labels = read_labels(label_place(opened, folder), name)
    query = Query(Examples(cell, lonlat, chip, vector, text).read(opened, "fused", weights))
    marks = marks_of(labels)
    found = taught(opened, query, marks, by=by, k=k, to_ask=k, apart_km=apart_km, filter=filter)
    for number, said in enumerate(rounds_of(labels), 1):
        say(f"round {number}: {said.right} of {said.marked} right")
    give(found.ask if ask else found.hits.rows, form, out, HITS)
