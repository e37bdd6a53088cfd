"""`skyhex labels` and `skyhex classify`: classes that people give, a classifier's map of them, areas."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.errors import QueryError

from ..form import check_ending
from .answer import Give, on_table, with_answer
from .options import day
from .progress import progress_bar, say

if TYPE_CHECKING:
    from indexer.table.embedding_table import EmbeddingTable

labels_app = typer.Typer(no_args_is_help=True, help="Classes that people gave to cells.")
classify_app = typer.Typer(no_args_is_help=True, help="From labels to a map of classes and their areas.")

SetOption = Annotated[str, typer.Option("--set", help="The set of labels.", metavar="NAME")]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="Where labels lie if not with the table.", metavar="DIR")
]
StartOption = Annotated[str | None, typer.Option(help="Rows whose period ends after this day.", metavar="D")]
EndOption = Annotated[str | None, typer.Option(help="Rows whose period begins before this day.", metavar="D")]
ColumnOption = Annotated[
    str, typer.Option("--using", help="The vectors: fused, geo, hr, s2 or s1.", metavar="NAME")
]


@labels_app.command("import")
@on_table(snapshots=False, before="folder")
def import_labels(
    table: "EmbeddingTable",
    file: Annotated[Path, typer.Argument(help="GeoJSON, or CSV or GeoParquet of points, cells or shapes.")],
    name: SetOption = "labels",
    column: Annotated[str | None, typer.Option(help="What holds the class.", metavar="NAME")] = None,
    folder: FolderOption = None,
) -> None:
    """Add classes of a file to a set; later ones replace earlier ones of the same cell."""
    from indexer.labels.label_files import read_label_file
    from indexer.labels.store import label_place, mark

    with progress_bar("labels", "cells") as progress:
        read = read_label_file(file, table, column, progress)
    if not read.marks:
        raise QueryError(f"{file} labels no cell of the table: {read.outside:,} labels lie outside of it")
    made = mark(label_place(table, folder), name, read.marks, table.h3_resolution)
    if read.outside:
        say(f"{read.outside:,} labels lie where the table has no cell", "left out")
    if read.contradicted:
        say(f"{read.contradicted:,} cells have several classes in {file}: the last is taken", "note")
    say(f"{name}: {len(read.marks):,} cells marked, {len(made):,} in the set")


@labels_app.command("export")
@with_answer()
@on_table(snapshots=False, before="folder")
def export_labels(
    table: "EmbeddingTable", give: Give, name: SetOption = "labels", folder: FolderOption = None
) -> None:
    """Write a set."""
    from indexer.labels.store import label_place, read_labels

    give(read_labels(label_place(table, folder), name))


@labels_app.command("list")
@with_answer()
@on_table(snapshots=False, before="folder")
def list_labels(table: "EmbeddingTable", give: Give, folder: FolderOption = None) -> None:
    """The sets, and how many cells each class has."""
    import pyarrow as pa

    from indexer.labels.store import label_place, label_sets, read_labels

    place = label_place(table, folder)
    rows = [
        {"set": name, "label": counted["values"], "cells": counted["counts"]}
        for name in label_sets(place)
        for counted in read_labels(place, name)["label"].value_counts().to_pylist()
    ]
    schema = pa.schema([("set", pa.string()), ("label", pa.string()), ("cells", pa.int64())])
    give(pa.Table.from_pylist(rows, schema))


@classify_app.command("fit")
@on_table(snapshots=False, before="folder")
def fit(
    table: "EmbeddingTable",
    out: Annotated[Path, typer.Option("-o", "--out", help="The classifier to write.", metavar="FILE")],
    name: SetOption = "labels",
    using: ColumnOption = "fused",
    block_res: Annotated[
        int | None, typer.Option(help="H3 resolution of the blocks of a fold (default: 3 coarser).")
    ] = None,
    start: StartOption = None,
    end: EndOption = None,
    seed: int = 0,
    folder: FolderOption = None,
) -> None:
    """Teach a classifier with labels; prints the confusion matrix of blocks left out."""
    import pyarrow as pa

    from indexer.labels.classifier import confusion_rows, fit_classifier
    from indexer.labels.store import label_place, read_labels
    from indexer.search.filter import Filter
    from indexer.search.words import column_of

    from ..output import emit

    check_ending(out, (".json",), "a classifier")
    made = fit_classifier(
        table,
        read_labels(label_place(table, folder), name),
        column=column_of(using),
        filter=Filter(start=day(start), end=day(end)),
        block_resolution=block_res,
        seed=seed,
    )
    out.write_text(made.classifier.to_json(), encoding="utf-8")
    emit(pa.Table.from_pylist(list(confusion_rows(made))), None, None)
    if made.without_vector:
        say(f"{made.without_vector:,} labelled cells have no vector in this period", "left out")
    say(
        f"{out}: {made.cells:,} cells, {made.accuracy:.1%} right when left out, "
        f"in {made.folds} folds of {made.blocks} blocks"
    )


@classify_app.command("apply")
@with_answer()
@on_table(snapshots=False)
def apply(
    table: "EmbeddingTable",
    give: Give,
    classifier: Annotated[Path, typer.Argument(help="What `skyhex classify fit` wrote.")],
    start: StartOption = None,
    end: EndOption = None,
) -> None:
    """The class of each cell of a table of the same encoder, of any year."""
    import pyarrow as pa

    from indexer.labels.classifier import Classifier, apply_classifier
    from indexer.search.filter import Filter

    asked = Filter(start=day(start), end=day(end))
    pieces = list(apply_classifier(Classifier.read(classifier), table, asked))
    if not pieces:
        raise QueryError("no row matches: there is nothing to classify")
    give(pa.concat_tables(pieces))
    say("Cells counted are no area: `skyhex classify sample` and `area` estimate one.", "note")


@classify_app.command("sample")
@with_answer()
def sample(
    give: Give,
    mapped: Annotated[Path, typer.Argument(help="The map: CSV or Parquet of `skyhex classify apply`.")],
    per_class: Annotated[int, typer.Option(help="Cells of each class.", metavar="N")] = 50,
    seed: int = 0,
) -> None:
    """Draw cells to be looked at; write what each is into the column `reference`."""
    from indexer.labels.area import check_sample
    from indexer.labels.label_files import read_cell_rows

    give(check_sample(read_cell_rows(mapped, "label"), per_class, seed))


@classify_app.command("area")
@with_answer()
def area(
    give: Give,
    mapped: Annotated[Path, typer.Argument(help="The map that the sample was drawn from.")],
    checked: Annotated[Path, typer.Argument(help="The sample, `reference` filled in.")],
) -> None:
    """The area of each class in hectares, with 95 % intervals (Olofsson and others, 2014)."""
    from indexer.labels.area import estimate_areas
    from indexer.labels.label_files import read_cell_rows

    areas = estimate_areas(read_cell_rows(mapped, "label"), read_cell_rows(checked, "reference"))
    give(areas.rows())
    say(f"overall accuracy {areas.overall_accuracy:.1%}, each class of the map weighed by its area")
