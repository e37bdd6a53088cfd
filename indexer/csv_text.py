"""Text in CSV that a spreadsheet leaves alone: it would run what begins as a formula.

Such text is written behind an apostrophe, and so is text that begins with apostrophes before it, so that
`as_written` undoes it exactly. Numbers are no text: a negative longitude stays as it is.
"""

import re

import pyarrow as pa

_FORMULA = "'*[=+\\-@\t\r\n＝＋－＠]"
_GUARDED = re.compile(_FORMULA)


def guarded(text: str) -> str:
    """Text that begins no formula."""
    return f"'{text}" if _GUARDED.match(text) else text


def as_written(rows: pa.Table) -> pa.Table:
    """Rows that were read from CSV, names of columns and text as they were before `guarded`."""
    columns = [_undone(column) if _is_text(column.type) else column for column in rows.columns]
    return pa.table(columns, [_undone_text(name) for name in rows.column_names])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _undone(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.replace_substring_regex(column, f"^'({_FORMULA})", r"\1")


def _undone_text(text: str) -> str:
    return text[1:] if text.startswith("'") and _GUARDED.match(text[1:]) else text
