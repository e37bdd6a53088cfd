"""What most commands share: the table that they read, and rows as their answer."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..form import Format
from .options import DEFAULT_TABLE, FormatOption, OutOption, SnapshotOption, TableOption
from .shared_options import Command, made_of

if TYPE_CHECKING:
    import pyarrow as pa

    from indexer.table.embedding_table import EmbeddingTable

Give = Callable[..., None]  # rows, and the columns of readable.py that people read of them: all without


def on_table(*, snapshots: bool = True, before: str = "") -> Callable[[Command], Command]:
    """Give a command the options of a table; its argument `table` is the snapshot that they name, opened."""
    options: dict[str, tuple[Any, Any]] = {"table": (TableOption, DEFAULT_TABLE)}
    options |= {"snapshot": (SnapshotOption, None)} if snapshots else {}
    return made_of("table", options, _opened, before)


def with_answer(*, before: str = "") -> Callable[[Command], Command]:
    """Give a command the options of a form and a file; its argument `give` writes rows as they ask."""
    options = {"form": (FormatOption, None), "out": (OutOption, None)}
    return made_of("give", options, lambda form, out: partial(_give, form, out), before)


def _opened(table: str, snapshot: int | None = None) -> "EmbeddingTable":
    from indexer.table.embedding_table import EmbeddingTable

    return EmbeddingTable.open(table, snapshot)


def _give(
    form: Format | None, out: Path | None, rows: "pa.Table", shown: Sequence[str] | None = None
) -> None:
    """`output.emit`; what it takes to write rows is loaded when there are some: not for help or an error."""
    from ..output import emit
    from .readable import readable

    emit(rows, form, out, None if shown is None else partial(readable, columns=shown))
