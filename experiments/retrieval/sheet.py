"""One table: every candidate's scores on one problem under one family of protocols, ours against each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import numpy as np

from .blocks import Interval, Measured, Scores, bootstrap, pooled
from .problem import Problem
from .protocols import (
    PROBES,
    ScoreTable,
    chance,
    cross_modal,
    cross_modal_chance,
    majority,
    probes,
    zero_shot,
)

CONTESTED = {  # metrics that differences are given in, by family; the first one is drawn
    "zero-shot": ("mAP@20",),
    "probes": ("kNN-20", "kNN-5", "linear"),
    "cross-modal": ("recall@10",),
}
V = TypeVar("V")
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Candidate(Generic[V]):
    """Something that turns n items into vectors: V is (n, d) finite, or a pair of them, one per sensor."""

    name: str
    vectors: tuple[V, ...]  # one per seed: scores are averaged over seeds
    bytes_per_item: float
    ms_per_item: float

    def row(self, judge: Callable[[V], ScoreTable], scored: Callable[[np.ndarray], Scores]) -> "Row":
        """This candidate's line of a table."""
        tables = [judge(vectors) for vectors in self.vectors]
        mean = {metric: np.mean([table[metric] for table in tables], axis=0) for metric in tables[0]}
        scores = {metric: scored(values) for metric, values in mean.items()}
        return Row(self.name, scores, self.bytes_per_item, self.ms_per_item)


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    name: str
    scores: Mapping[str, Measured]  # by metric
    bytes_per_item: float = float("nan")
    ms_per_item: float = float("nan")


class Question(Protocol):
    """What a table tells of the set that it is of."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def queries(self) -> np.ndarray: ...
    @property
    def query_block(self) -> np.ndarray: ...
    @property
    def database_size(self) -> int: ...
    @property
    def majority_share(self) -> float: ...
    @property
    def is_balanced(self) -> bool: ...


@dataclass(frozen=True)
class Sheet:
    """One table of one problem. The first row is ours."""

    family: str  # "zero-shot", "probes", "cross-modal" or a task: families are never mixed
    problem: Question
    rows: tuple[Row, ...]
    title: str = ""  # what tells this table from others of its family: "S1 -> S2"
    metrics: tuple[str, ...] = ()  # that differences are given in; empty: those of the family

    @property
    def contested(self) -> tuple[str, ...]:
        """The metrics that differences are given in; the first one is drawn."""
        return self.metrics or CONTESTED[self.family]

    @property
    def headline(self) -> str:
        """The metric that is drawn."""
        return self.contested[0]

    def gains(self, metric: str) -> dict[str, Measured]:
        """Ours minus each other row, query by query."""
        ours = self.rows[0].scores[metric]
        return {row.name: ours.minus(row.scores[metric]) for row in self.rows[1:] if metric in row.scores}


def zero_shot_sheet(problem: Problem, candidates: Sequence[Candidate[np.ndarray]], seed: int = 0) -> Sheet:
    """P3 of every candidate, and of chance and majority."""
    rows = [c.row(lambda v: zero_shot(problem, v), problem.scored) for c in candidates]
    floors = {"chance": chance(problem, seed)[0], "majority": majority(problem)[0]}
    return Sheet("zero-shot", problem, (*rows, *_floor_rows(floors, problem.scored)))


def probe_sheet(
    problem: Problem,
    candidates: Sequence[Candidate[np.ndarray]],
    seed: int = 0,
    methods: Sequence[str] = PROBES,
) -> Sheet:
    """P1 and P4 of every candidate, and of chance and majority."""
    rows = [c.row(lambda v: probes(problem, v, methods), problem.scored) for c in candidates]
    floors = {"chance": chance(problem, seed)[1], "majority": majority(problem)[1]}
    return Sheet("probes", problem, (*rows, *_floor_rows(floors, problem.scored)))


def cross_modal_sheet(problem: Problem, candidates: Sequence[Candidate[Pair]], title: str) -> Sheet:
    """P5 of every candidate, and of chance: each query's true pair among the queries of its fold."""
    plain = partial(Scores.plain, block=problem.query_block)
    rows = [c.row(lambda pair: cross_modal(problem, *pair), plain) for c in candidates]
    return Sheet(
        "cross-modal", problem, (*rows, *_floor_rows({"chance": cross_modal_chance(problem)}, plain)), title
    )


def _floor_rows(tables: dict[str, ScoreTable], scored: Callable[[np.ndarray], Scores]) -> list[Row]:
    return [Row(name, {m: scored(values) for m, values in table.items()}) for name, table in tables.items()]


@dataclass(frozen=True)
class Gain:
    """Ours minus one other candidate in one metric, over several sets."""

    name: str
    pooled: Interval
    by_set: dict[str, Interval]

    @property
    def above(self) -> int:
        """Sets on which the interval lies above zero."""
        return sum(interval.low > 0 for interval in self.by_set.values())

    @property
    def below(self) -> int:
        """Sets on which the interval lies below zero."""
        return sum(interval.high < 0 for interval in self.by_set.values())


@dataclass(frozen=True)
class Contest:
    """Ours against every other candidate in one metric of one question."""

    family: str
    title: str  # as of the sheets: "S1 -> S2"
    metric: str
    ours: dict[str, Interval]  # by set
    gains: tuple[Gain, ...]

    @property
    def name(self) -> str:
        """`probes, kNN-20`; `cross-modal S1 -> S2, recall@10`."""
        return f"{self.family} {self.title}".strip() + f", {self.metric}"


def contests(sheets: Sequence[Sheet], seed: int = 0) -> list[Contest]:
    """Every contested metric of every kind of sheet."""
    kinds: dict[tuple[str, str], list[Sheet]] = {}
    for sheet in sheets:
        kinds.setdefault((sheet.family, sheet.title), []).append(sheet)
    return [
        _contest(alike, metric, seed)
        for alike in kinds.values()
        for metric in alike[0].contested
        if all(metric in sheet.rows[0].scores for sheet in alike)
    ]


def _contest(sheets: Sequence[Sheet], metric: str, seed: int) -> Contest:
    """Against each candidate that all sheets, of one family and title, have."""
    names = [sheet.problem.name for sheet in sheets]
    by_sheet = [sheet.gains(metric) for sheet in sheets]
    shared = [name for name in by_sheet[0] if all(name in gains for gains in by_sheet)]
    gains = []
    for name in shared:
        of_candidate = [of_sheet[name] for of_sheet in by_sheet]
        each = dict(zip(names, (bootstrap(scores, seed=seed) for scores in of_candidate), strict=True))
        gains.append(Gain(name, pooled(of_candidate, seed=seed), each))
    ours = (bootstrap(sheet.rows[0].scores[metric], seed=seed) for sheet in sheets)
    family, title = sheets[0].family, sheets[0].title
    return Contest(family, title, metric, dict(zip(names, ours, strict=True)), tuple(gains))
