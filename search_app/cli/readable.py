"""Rows in the few columns that people read, in a terminal of 80 characters."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

HITS = ("query", "rank", "similarity", "top", "h3_cell", "place", "period", "lon", "lat")
CHANGES = ("rank", "change", "h3_cell", "place", "before", "after", "lon", "lat")
OUTLIERS = ("rank", "typical", "h3_cell", "place", "period", "region_cell", "prototype")
LAID_OUT = ("h3_cell", "place", "period", "lon", "lat", "x", "y")
CLUSTERED = ("h3_cell", "place", "period", "lon", "lat", "cluster")
MEMBERS = ("rank", "typical", "h3_cell", "place", "period", "lon", "lat")


def readable(rows: "pa.Table", columns: Sequence[str] = HITS) -> "pa.Table":
    """Some of the columns that _COLUMNS knows how to make; those that would say nothing are left out."""
    import pyarrow as pa

    shown = {name: _COLUMNS[name](rows) for name in columns if name != "query" or name in rows.column_names}
    if "top" in shown and not any(shown["top"]):
        del shown["top"]  # no index keeps a sample
    if not any(shown["place"]):
        del shown["place"]  # an area's samples have no name but their cell
    return pa.table(shown)


def top(share: float | None) -> str:
    """`0.3 %` for a share of the rows that are at least as like."""
    return "" if share is None else f"{float(f'{100 * share:.2g}'):g} %"


def _column(name: str) -> Callable[["pa.Table"], "pa.ChunkedArray"]:
    return lambda rows: rows[name]


def _decimals(name: str, digits: int) -> Callable[["pa.Table"], list[str]]:
    return lambda rows: [f"{value:.{digits}f}" for value in rows[name].to_pylist()]


def _periods(before: str = "") -> Callable[["pa.Table"], list[str]]:
    sides = [f"{before}start_datetime", f"{before}end_datetime"]
    return lambda rows: [_period(*row.values()) for row in rows.select(sides).to_pylist()]


def _period(start: datetime, end: datetime) -> str:
    """A day, a year, or the months from the first to the last of [start, end)."""
    last = end - timedelta(microseconds=1)
    if end - start <= timedelta(days=1):
        return f"{start:%Y-%m-%d}"
    if (start.month, start.day, end.month, end.day) == (1, 1, 1, 1) and start.year == last.year:
        return f"{start:%Y}"
    months = dict.fromkeys((f"{start:%Y-%m}", f"{last:%Y-%m}"))
    return "..".join(months)


def _places(rows: "pa.Table") -> list[str]:
    """Names of samples, empty where the cell says it."""
    import h3

    named = zip(rows["sample_id"].to_pylist(), rows["h3_cell"].to_pylist(), strict=True)
    return ["" if sample_id == h3.int_to_str(cell) else sample_id for sample_id, cell in named]


_COLUMNS: dict[str, Callable[["pa.Table"], Any]] = {
    **{name: _column(name) for name in ("query", "rank", "h3_cell", "region_cell", "prototype")},
    "similarity": _decimals("similarity", 3),
    "top": lambda rows: [top(share) for share in rows["top_share"].to_pylist()],
    "change": _decimals("change", 3),
    **{name: _decimals(name, 3) for name in ("x", "y")},
    "cluster": _column("cluster"),
    "typical": _decimals("prototype_similarity", 3),
    "place": _places,
    "period": _periods(),
    "before": _periods("before_"),
    "after": _periods("after_"),
    "lon": _decimals("lon", 4),
    "lat": _decimals("lat", 4),
}
