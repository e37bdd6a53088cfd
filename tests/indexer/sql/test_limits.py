"""Limits as they are typed."""

import pytest

from indexer.errors import QueryError
from indexer.sql.limits import Limits, bytes_of


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 * 10**9), ("500 mb", 5 * 10**8), ("1.5GiB", 3 * 2**29), ("64KB", 64_000)]
)
def test_sizes(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "2", "GB", "-1GB", "0MB", "2 PB", "1e9", "2GB2", "TiB"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(QueryError, match="expected a size such as 2GB"):
        bytes_of(text)


def test_nothing_is_no_limit() -> None:
    assert Limits.of(0, "1GB", rows=0) == Limits(None, 10**9, None)


@pytest.mark.parametrize(("timeout_s", "rows"), [(-1.0, None), (float("nan"), None), (1.0, -1)])
def test_less_than_nothing_is_refused(timeout_s: float, rows: int | None) -> None:
    with pytest.raises(QueryError, match="expected 0, which is none, or more"):
        Limits.of(timeout_s, "1GB", rows)
