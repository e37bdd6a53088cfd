"""`skyhex feedback`: a search taught by marks, right or wrong, of a set of labels or typed."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import search_options as words
from .answer import Give, on_table, with_answer
from .conditions import with_filter
from .label_commands import FolderOption
from .options import WeightsOption
from .progress import say
from .readable import HITS

if TYPE_CHECKING:
    from indexer.search.filter import Filter
    from indexer.table.embedding_table import EmbeddingTable

app = typer.Typer()

MARKED = "What was marked"
MarksOption = Annotated[
    str | None, words.option(MARKED, "A set of labels `right` and `wrong`.", "NAME", "--set")
]
RightOption = Annotated[words.Names, words.option(MARKED, "A cell that is right. Repeat for several.", "ID")]
WrongOption = Annotated[words.Names, words.option(MARKED, "A cell that is wrong.", "ID")]
RuleOption = Annotated[
    Literal["linear", "rocchio"],
    words.option(words.RESULTS, "A linear head on the vectors, or Rocchio's rule."),
]
ApartOption = Annotated[
    float, words.option(words.RESULTS, "Leave out what lies this near to a mark.", "KM", "--apart-km")
]
AskOption = Annotated[
    bool, words.option(words.RESULTS, "What to mark next: the uncertain, and some drawn.", None, "--ask")
]


@app.command()
@with_answer()
@on_table(snapshots=False, before="folder")
@with_filter()
def feedback(
    filter: "Filter",
    table: "EmbeddingTable",
    give: Give,
    cell: words.CellOption = None,
    lonlat: words.LonLatOption = None,
    chip: words.ChipOption = None,
    vector: words.VectorOption = None,
    text: words.TextOption = None,
    name: MarksOption = None,
    right: RightOption = None,
    wrong: WrongOption = None,
    by: RuleOption = "linear",
    apart_km: ApartOption = 0.0,
    ask: AskOption = False,
    k: words.KOption = 20,
    folder: FolderOption = None,
    weights: WeightsOption = "nano",
) -> None:
    """A search taught by marks: the answer, or with --ask what to mark next."""
    import skyhex
    from indexer.geo.cells import parse_cell
    from indexer.labels.feedback import marks_of, rounds_of
    from indexer.labels.store import label_place, read_labels
    from indexer.search.query import Query

    from .search_words import Examples

    query = Query(Examples(cell, lonlat, chip, vector, text).read(table, "fused", weights))
    marks: dict[int, bool] = {}
    if name is not None:
        labels = read_labels(label_place(table, folder), name)
        marks |= marks_of(labels)
        for number, said in enumerate(rounds_of(labels), 1):
            say(f"round {number}: {said.right} of {said.marked} right")
    for cells, is_right in ((right, True), (wrong, False)):
        marks |= dict.fromkeys(map(parse_cell, cells or []), is_right)
    answer = skyhex.feedback(
        table,
        right=[one for one, is_right in marks.items() if is_right],
        wrong=[one for one, is_right in marks.items() if not is_right],
        query=query,
        by=by,
        k=k,
        to_ask=k,
        apart_km=apart_km,
        filter=filter,
    )
    give(answer.ask if ask else answer.hits.rows, HITS)
