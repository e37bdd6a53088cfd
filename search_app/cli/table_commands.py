"""Commands about the table itself: index, align, SQL, info, log, validate, compact, vacuum."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.errors import QueryError
from indexer.sql.limits import DEFAULT_MEMORY, DEFAULT_TIMEOUT_S, Limits

from .answer import Give, on_table, with_answer
from .options import DEFAULT_TABLE, AddressOption, EngineOption, SnapshotOption, TableOption
from .progress import progress_bar, say
from .working import working

if TYPE_CHECKING:
    from indexer.table.embedding_table import EmbeddingTable
    from indexer.workers import Workers

app = typer.Typer()


@app.command()
def index(
    table: TableOption = DEFAULT_TABLE,
    shards: Annotated[
        int | None,
        typer.Option(
            help="Cut it into so many by cell, for large tables; 1: none. (As it is.)", min=1, max=128
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that build shards (1).", min=1)] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
) -> None:
    """Bring the index, and the alignment of sensors, up to the table's snapshot."""
    if engine == "ray" and (_shards_of(table) if shards is None else shards) < 2:
        raise QueryError("each of Ray's tasks builds a shard: say how many there are to be with --shards")
    with working(engine, address, workers) as who:
        bring_up(table, shards=shards, workers=who or 1)


def _shards_of(path: str) -> int:
    """That a table's index is cut into."""
    from indexer.index.faiss_index import index_info
    from indexer.table.embedding_table import EmbeddingTable

    info = index_info(EmbeddingTable.open(path))
    return 0 if info is None else info.shards


@app.command()
@on_table(snapshots=False)
def align(table: "EmbeddingTable") -> None:
    """Learn from rows with several sensors how one finds the other: `search --using s1 --against s2`."""
    from indexer.alignment.alignment import LEAST_PAIRS, align, fitted_of

    aligned, fitted = align(table)
    for one in fitted:
        used = "" if one in fitted_of(aligned) else "; not used: it finds no more than before"
        say(f"{one}{used}")
    if not fitted:
        say(f"no two sensors share {LEAST_PAIRS} rows in enough places: nothing is aligned")


def bring_up(path: str, label: str = "", shards: int | None = None, workers: "int | Workers" = 1) -> None:
    """Alignment first, where rows changed since it was fitted, and then the index."""
    from indexer.alignment.alignment import align, fitted_of, is_aligned
    from indexer.index.faiss_index import build_index
    from indexer.table.embedding_table import EmbeddingTable

    opened = EmbeddingTable.open(path)
    if not is_aligned(opened):
        before = opened.snapshot
        opened, _ = align(opened)
        for fitted in fitted_of(opened) if opened.snapshot > before else ():
            say(f"{label}aligned {fitted}")
    with progress_bar("index", "rows") as progress:
        info = build_index(opened, progress, shards, workers)
    say(f"{label}{info}")


@app.command()
@with_answer(before="timeout")
@on_table(before="timeout")
def sql(
    table: "EmbeddingTable",
    give: Give,
    query: Annotated[str, typer.Argument(help="SELECT or EXPLAIN over embeddings, prototypes, regions.")],
    timeout: Annotated[float, typer.Option(help="Seconds, at most; 0: none.")] = DEFAULT_TIMEOUT_S,
    memory: Annotated[
        str, typer.Option(help="Of DuckDB, at most, and of the answer.", metavar="SIZE")
    ] = DEFAULT_MEMORY,
) -> None:
    """Ask the table in SQL (DuckDB)."""
    from indexer.sql.run import run_sql

    give(run_sql(table, query, Limits.of(timeout, memory)))


@app.command()
@on_table()
def info(table: "EmbeddingTable") -> None:
    """What the table holds: model, rows, area, time, index, prototypes."""
    from .info import print_info

    print_info(table)


@app.command()
@with_answer()
def log(give: Give, table: TableOption = DEFAULT_TABLE) -> None:
    """The table's snapshots."""
    from indexer.table.manifest import read_log
    from indexer.table.open_storage import open_storage

    from .info import snapshot_rows

    give(snapshot_rows(read_log(open_storage(table))))


@app.command()
def validate(
    table: TableOption = DEFAULT_TABLE,
    snapshot: SnapshotOption = None,
    mend: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="First go back to the newest manifest that can be read, and do without lost files.",
        ),
    ] = False,
) -> None:
    """Check digests, order, keys, metadata, norms, geometry. Exit code 1 when something is wrong."""
    from indexer.table.embedding_table import EmbeddingTable
    from indexer.table.open_storage import open_storage
    from indexer.table.repair import repair

    for line in repair(open_storage(table)) if mend else ():
        say(line, "repaired")
    opened = EmbeddingTable.open(table, snapshot)
    problems = opened.validate()
    for problem in problems:
        say(problem, style="red")
    if problems:
        raise typer.Exit(1)
    say(f"{opened.row_count:,} rows in {len(opened.files)} files: all sound.")


@app.command()
@on_table(snapshots=False)
def compact(table: "EmbeddingTable") -> None:
    """Join small files into files of up to 128 MB."""
    joined = table.compact()
    say(f"{len(table.files)} files before, {len(joined.files)} now; snapshot {joined.snapshot}")


@app.command()
@on_table(snapshots=False, before="keep")
def vacuum(
    table: "EmbeddingTable",
    keep: Annotated[int, typer.Option(help="How many of the newest snapshots stay readable.")] = 1,
) -> None:
    """Delete snapshots older than an hour, and the files that no kept snapshot names."""
    deleted = table.vacuum(keep)
    say(f"{len(deleted)} files deleted; the newest {keep} snapshots and all of the last hour are kept")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="A table's folder or address.", metavar="T1")],
    target: Annotated[str, typer.Argument(help="Where it goes: a folder or an address.", metavar="T2")],
) -> None:
    """Copy a table with its snapshots, between disk and bucket; stopped, the same command goes on."""
    from indexer.table.copy import copy_table

    with progress_bar("copy", "files") as progress:
        done = copy_table(source, target, progress)
    say(
        f"{target}: {done.snapshots} snapshots, {done.files:,} files ({done.bytes / 1e6:,.1f} MB) copied, "
        f"{done.already:,} were there already; `skyhex index -t {target}` makes its index"
    )
    if done.left_out:
        say(f"{done.left_out} snapshots were left out: their manifests are damaged", "note")
