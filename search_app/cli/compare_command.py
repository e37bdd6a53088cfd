"""`skyhex compare`: two tables of the same cells beside each other."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..form import Format
from .eval_command import JsonFile, ReportDir, give, with_options
from .options import day
from .progress import say

if TYPE_CHECKING:
    from experiments.retrieval.agreement import Agreement
    from experiments.retrieval.options import Options
    from experiments.retrieval.table_pair import Period

app = typer.Typer()


@app.command("compare")
@with_options(seed=0, max_queries=1500, max_database=4000)
def compare(
    options: "Options",
    first: Annotated[str, typer.Argument(help="A table.", metavar="T1")],
    second: Annotated[str, typer.Argument(help="Another table of the same cells.", metavar="T2")],
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV or Parquet: label, and h3_cell or lon and lat.", metavar="FILE", exists=True),
    ] = None,
    beyond_km: Annotated[
        float, typer.Option("--beyond", help="Leave out cells nearer than this, in km.", min=0.0)
    ] = 5.0,
    drawn: Annotated[
        list[Path] | None,
        typer.Option("--map", help="Where they disagree: .geojson or .png; repeatable.", metavar="FILE"),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Rows whose period meets this day or later.", metavar="D")
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="Rows whose period starts before this day.", metavar="D")
    ] = None,
    protocol: Annotated[str, typer.Option(help="all, neighbours, zero-shot or probes.")] = "all",
    max_cells: Annotated[int, typer.Option(help="Cells in common, at most: a seeded draw.", min=2)] = 50_000,
    json_file: JsonFile = None,
    report: ReportDir = None,
) -> None:
    """Two tables of the same cells: do they agree on neighbours, which is better on labels, and where not."""
    from experiments.retrieval.evaluations import evaluate_tables
    from experiments.retrieval.options import COMPARE_PROTOCOLS
    from experiments.retrieval.table_pair import read_pair
    from indexer.table.embedding_table import EmbeddingTable

    for path in drawn or []:
        if path.suffix.lower() not in (".geojson", ".png"):
            raise typer.BadParameter(f"--map came as {path}; expected a .geojson or a .png.")
    options = replace(options, protocol=protocol, protocols=COMPARE_PROTOCOLS)
    tables = EmbeddingTable.open(first), EmbeddingTable.open(second)
    pair = read_pair(*tables, period=_period(start, end), max_cells=max_cells, seed=options.seed)
    evaluation, agreement = evaluate_tables(pair, labels, options, beyond_km=beyond_km)
    give(evaluation, json_file, report)
    for path in drawn or []:
        _draw(agreement, path)
        say(f"map of {len(agreement.query):,} cells in {path}")


def _draw(agreement: "Agreement", path: Path) -> None:
    from experiments.retrieval.agreement import agreement_rows, draw_agreement

    from ..output import encode

    if path.suffix.lower() == ".png":
        draw_agreement(agreement, path)
    else:
        path.write_bytes(encode(agreement_rows(agreement), Format.geojson))


def _period(start: str | None, end: str | None) -> "Period | None":
    from datetime import UTC, datetime

    if start is None and end is None:
        return None
    return day(start) or datetime.min.replace(tzinfo=UTC), day(end) or datetime.max.replace(tzinfo=UTC)
