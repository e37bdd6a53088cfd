"""Rows as a command's answer: in few columns for people, in all for programs."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..form import Format

if TYPE_CHECKING:
    import pyarrow as pa


def give(rows: "pa.Table", form: Format | None, out: Path | None, shown: Sequence[str] | None = None) -> None:
    """`output.emit`, a terminal's table in the columns `shown` alone (see readable.py).

    What it takes to write rows is loaded when there are some: not for help, and not for an error.
    """
    from ..output import emit
    from .readable import readable

    emit(rows, form, out, None if shown is None else partial(readable, columns=shown))
