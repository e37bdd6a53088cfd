"""What an answer in SQL may take. A limit that is reached is an error: no answer is cut short."""

import re
from dataclasses import dataclass

from ..errors import QueryError

DEFAULT_TIMEOUT_S = 30.0
DEFAULT_MEMORY = "2GB"
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Limits:
    """Time covers the check of a statement, too. Memory is DuckDB's, and the answer's once more."""

    timeout_s: float | None = DEFAULT_TIMEOUT_S  # None: as long as it takes
    memory_bytes: int = 2 * 10**9
    rows: int | None = None  # of the answer; None: as many as there are
    flags: str = ""  # how the flags that raise them begin: "" = --timeout, "sql-" = --sql-timeout

    @staticmethod
    def of(timeout_s: float, memory: str, rows: int | None = None, flags: str = "") -> "Limits":
        """From what is typed: 0 seconds or rows are no limit. Raises QueryError."""
        if not timeout_s >= 0 or (rows is not None and rows < 0):
            raise QueryError(
                f"a limit of {timeout_s} seconds or {rows} rows: expected 0, which is none, or more"
            )
        return Limits(timeout_s or None, bytes_of(memory), rows or None, flags)

    def out_of_time(self) -> QueryError:
        return QueryError(
            f"stopped after {self.timeout_s:g} s: ask for less, or allow more{self._by('timeout')}"
        )

    def out_of_memory(self) -> QueryError:
        size = f"{self.memory_bytes / 1e9:g} GB"
        return QueryError(
            f"more memory than {size}: select fewer columns or rows, or allow more{self._by('memory')}"
        )

    def too_many_rows(self) -> QueryError:
        return QueryError(
            f"more than {self.rows:,} rows: add a LIMIT, allow more{self._by('rows')}, or write them to a"
            " file with `skyhex sql -o`"
        )

    def _by(self, name: str) -> str:
        return f" with --{self.flags}{name}"


DEFAULT_LIMITS = Limits()
OWN_LIMITS = Limits(timeout_s=None)  # of statements that are not typed: as long as the table takes


def bytes_of(text: str) -> int:
    """`2GB`, `500MB` or `1.5GiB` as bytes. Raises QueryError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?B)\s*", text.upper())
    if match is None or match[2] not in _UNITS or float(match[1]) <= 0:
        raise QueryError(f"memory {text!r}: expected a size such as 2GB or 500MB")
    return round(float(match[1]) * _UNITS[match[2]])
