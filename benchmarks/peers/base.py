"""What every peer does: build in a folder, open it, search among some rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from indexer.geo.row_ranges import RowRanges, Rows
from indexer.table.columns import Similarities

from ..search_vectors import VectorSet


@dataclass(frozen=True)
class Among:
    """The rows that a query may return: a run in order of cell, those with a low enough draw, or all."""

    kind: str  # "all", "region" or "random"
    start: int  # of a region: rows [start, stop)
    stop: int
    draw_below: float  # of a random filter

    def rows(self, data: VectorSet) -> RowRanges:
        """As row numbers."""
        if self.kind == "random":
            return RowRanges.of_rows(np.flatnonzero(data.draw < np.float32(self.draw_below)))
        return RowRanges.merged(np.array([self.start]), np.array([self.stop]))

    def sql(self) -> str | None:
        """As a condition on the columns `row` and `draw`; None for all rows."""
        if self.kind == "all":
            return None
        if self.kind == "random":
            return f"draw < {self.draw_below}"
        return f'"row" >= {self.start} AND "row" < {self.stop}'


class Peer(ABC):
    """One way to search. Built in one process, opened and searched in another."""

    dials: ClassVar[tuple[int, ...]] = (0,)  # values tried of the one setting that trades recall for time
    filters: ClassVar[bool] = True  # whether it can search among some rows
    package: ClassVar[str]  # whose version is noted
    built_as: ClassVar[str | None] = None  # the peer whose folder it searches; None: its own

    def __init__(self, folder: Path, data: VectorSet, threads: int) -> None:
        self.folder = folder
        self.data = data
        self.threads = threads

    @abstractmethod
    def build(self) -> dict[str, float]:
        """Write everything into the folder; returns further facts, by name."""

    @abstractmethod
    def open(self) -> None:
        """Make the folder's content ready to be searched."""

    def prepare(self, among: Among) -> Any:
        """A filter in the form that the peer takes, made before the clock runs."""
        return among

    def turn(self, dial: int) -> None:  # noqa: B027 - a peer without a dial has nothing to do
        """Set the dial."""

    @abstractmethod
    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        """The rows (at most k) most like a query (d,), best first."""

    def search_batch(self, queries: Similarities, k: int) -> list[Rows]:
        """Many queries (q, d) over all rows."""
        everything = self.prepare(Among("all", 0, len(self.data.vectors), 1.0))
        return [self.search(query, everything, k) for query in queries]

    @property
    def bytes(self) -> int:
        """On disk, vectors included."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
