"""From sets with their candidates to one report: what all `skyhex eval` commands share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Interval, bootstrap
from .compression import compressions
from .options import Options
from .pictures import Exhibit
from .problem import Problem
from .protocols import zero_shot
from .report import Cell, Report, Table
from .sheet import Candidate, Pair, Sheet, cross_modal_sheet, probe_sheet, zero_shot_sheet


@dataclass(frozen=True)
class Pairs:
    """Two sensors of the same places: P5's question."""

    problem: Problem  # queries have both sensors
    title: str  # "S1", "S2": joined with an arrow
    other: str
    candidates: tuple[Candidate[Pair], ...]  # ours first


@dataclass(frozen=True)
class Finding:
    """One line of the leakage table."""

    check: str
    ours: Interval
    floor: float  # what vectors that know nothing of it would have


@dataclass(frozen=True)
class Case:
    """One set, turned into vectors by everything that is compared."""

    problem: Problem
    candidates: tuple[Candidate[np.ndarray], ...]  # ours first
    exhibit: Exhibit
    pairs: Pairs | None = None
    findings: tuple[Finding, ...] = ()


def report_of(cases: Sequence[Case], options: Options, model: dict[str, Any]) -> Report:
    """Judge every case by the protocols that were asked for."""
    sheets: list[Sheet] = []
    if options.wants("zero-shot"):
        sheets += [zero_shot_sheet(case.problem, case.candidates, options.seed) for case in cases]
    if options.wants("probes"):
        sheets += [probe_sheet(case.problem, case.candidates, options.seed) for case in cases]
    if options.wants("cross-modal"):
        sheets += [sheet for case in cases if case.pairs for sheet in both_ways(case.pairs)]
    tables = []
    if options.wants("leakage") and any(case.findings for case in cases):
        tables.append(leakage_table(cases))
    if options.wants("compression"):
        tables.append(compression_table(cases, options.seed))
    return Report(
        options.command,
        model,
        options.split,
        options.seed,
        tuple(sheets),
        tuple(tables),
        tuple(case.exhibit for case in cases),
    )


def both_ways(pairs: Pairs) -> list[Sheet]:
    """One table from the first sensor to the other, one back."""
    back = [
        Candidate(c.name, tuple((b, a) for a, b in c.vectors), c.bytes_per_item, c.ms_per_item)
        for c in pairs.candidates
    ]
    return [
        cross_modal_sheet(pairs.problem, pairs.candidates, f"{pairs.title} -> {pairs.other}"),
        cross_modal_sheet(pairs.problem, back, f"{pairs.other} -> {pairs.title}"),
    ]


def leakage_table(cases: Sequence[Case]) -> Table:
    """Every finding of every set."""
    rows = [(case.problem.name, f.check, f.ours, f.floor) for case in cases for f in case.findings]
    return Table("Leakage", ("set", "check", "ours", "floor"), tuple(rows), LEAKAGE_NOTE)


LEAKAGE_NOTE = (
    "recall@10: higher is better (the place is recognised whatever sensors it is shown by); floor is chance. "
    "Shares of neighbours: nearer to the floor, the group's base rate, is better."
)


def compression_table(cases: Sequence[Case], seed: int) -> Table:
    """mAP@20 of smaller copies of our vectors, and what they lose."""
    rows: list[tuple[Cell, ...]] = []
    for case in cases:
        problem, vectors = case.problem, case.candidates[0].vectors[0]
        fit_on = problem.folds[0].database
        whole = problem.scored(zero_shot(problem, vectors)["mAP@20"])
        rows.append((problem.name, "float32", 4.0 * vectors.shape[1], bootstrap(whole, seed=seed), "-"))
        for name, (shrink, size) in compressions(vectors.shape[1]).items():
            scores = problem.scored(zero_shot(problem, shrink(vectors, fit_on))["mAP@20"])
            loss = bootstrap(whole.minus(scores), seed=seed)
            rows.append((problem.name, name, size, bootstrap(scores, seed=seed), loss))
    return Table("Compression", ("set", "stored as", "bytes", "mAP@20", "loss"), tuple(rows))
