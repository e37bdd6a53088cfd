"""From sets with their candidates to one report: what all `skyhex eval` commands share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.sample import InputError

from .blocks import bootstrap
from .compression import compressions
from .embedding import Embedded
from .leakage import Finding
from .options import Options
from .pictures import Exhibit
from .problem import Problem
from .protocols import zero_shot
from .report import Cell, Report, Table
from .sensors import Seen, sensor_table
from .sheet import (
    CONTESTED,
    Candidate,
    Pair,
    Sheet,
    contests,
    cross_modal_sheet,
    probe_sheet,
    zero_shot_sheet,
)
from .verdict import verdict


@dataclass(frozen=True)
class Pairs:
    """Two sensors of the same places: P5's question."""

    problem: Problem  # queries have both sensors
    title: str  # "S1", "S2": joined with an arrow
    other: str
    candidates: tuple[Candidate[Pair], ...]  # ours first
    forth: tuple[Candidate[Pair], ...] = ()  # further ones that differ by direction
    back: tuple[Candidate[Pair], ...] = ()


@dataclass(frozen=True)
class Case:
    """One set, turned into vectors by everything that is compared."""

    problem: Problem
    candidates: tuple[Candidate[np.ndarray], ...]  # ours first
    exhibit: Exhibit
    pairs: Pairs | None = None
    findings: tuple[Finding, ...] = ()
    embedded: Embedded | None = None  # ours, each sensor alone


@dataclass(frozen=True)
class Judged:
    """What the protocols that were asked for say of one set."""

    name: str
    sheets: tuple[Sheet, ...]
    findings: tuple[Finding, ...]
    compressed: tuple[tuple[Cell, ...], ...]  # lines of the table
    exhibit: Exhibit
    seen: Seen | None = None


def judge(case: Case, options: Options) -> Judged:
    """Run the protocols on one set."""
    sheets: list[Sheet] = []
    if options.wants("zero-shot"):
        sheets.append(zero_shot_sheet(case.problem, case.candidates, options.seed))
    if options.wants("probes"):
        sheets.append(probe_sheet(case.problem, case.candidates, options.seed))
    if options.wants("cross-modal") and case.pairs:
        sheets += both_ways(case.pairs)
    findings = case.findings if options.wants("leakage") else ()
    compressed = compression_lines(case, options.seed) if options.wants("compression") else ()
    seen = Seen(case.problem.name, case.embedded) if case.embedded else None
    return Judged(case.problem.name, tuple(sheets), findings, compressed, case.exhibit, seen)


def report_of(judged: Sequence[Judged], options: Options, model: dict[str, Any]) -> Report:
    """All sets in one report, tables of one family together.

    Raises:
        InputError: two sets of one name, which no table could tell apart.
    """
    names = [one.name for one in judged]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"several sets are called {', '.join(twice)}; rename their files or folders.")
    sheets = [sheet for one in judged for sheet in one.sheets]
    ordered = [sheet for family in CONTESTED for sheet in sheets if sheet.family == family]
    tables = [
        verdict(contests(ordered, options.seed)),
        sensor_table([one.seen for one in judged if one.seen], options.seed),
        leakage_table(judged),
        compression_table(judged),
    ]
    return Report(
        options.command,
        model,
        options.settings,
        tuple(ordered),
        tuple(table for table in tables if table),
        tuple(one.exhibit for one in judged),
    )


def both_ways(pairs: Pairs) -> list[Sheet]:
    """One table from the first sensor to the other, one back."""
    back = [
        Candidate(c.name, tuple((b, a) for a, b in c.vectors), c.bytes_per_item, c.ms_per_item)
        for c in pairs.candidates
    ]
    return [
        cross_modal_sheet(
            pairs.problem, (*pairs.candidates, *pairs.forth), f"{pairs.title} -> {pairs.other}"
        ),
        cross_modal_sheet(pairs.problem, (*back, *pairs.back), f"{pairs.other} -> {pairs.title}"),
    ]


def leakage_table(judged: Sequence[Judged]) -> Table | None:
    """Every finding of every set."""
    rows = [(one.name, f.check, f.ours, f.floor) for one in judged for f in one.findings]
    return Table("Leakage", ("set", "check", "ours", "floor"), tuple(rows), LEAKAGE_NOTE) if rows else None


LEAKAGE_NOTE = (
    "recall@10: higher is better (the place is recognised whatever sensors it is shown by); floor is chance. "
    "Shares of neighbours: nearer to the floor, the group's base rate, is better."
)


def compression_table(judged: Sequence[Judged]) -> Table | None:
    """mAP@20 of smaller copies of our vectors, and what they lose."""
    rows = tuple(line for one in judged for line in one.compressed)
    return Table("Compression", ("set", "stored as", "bytes", "mAP@20", "loss"), rows) if rows else None


def compression_lines(case: Case, seed: int) -> tuple[tuple[Cell, ...], ...]:
    """One set's lines of `compression_table`."""
    problem, vectors = case.problem, case.candidates[0].vectors[0]
    fit_on = problem.folds[0].database
    whole = problem.scored(zero_shot(problem, vectors)["mAP@20"])
    rows: list[tuple[Cell, ...]] = [
        (problem.name, "float32", 4.0 * vectors.shape[1], bootstrap(whole, seed=seed), "-")
    ]
    for name, (shrink, size) in compressions(vectors.shape[1]).items():
        scores = problem.scored(zero_shot(problem, shrink(vectors, fit_on))["mAP@20"])
        loss = bootstrap(whole.minus(scores), seed=seed)
        rows.append((problem.name, name, size, bootstrap(scores, seed=seed), loss))
    return tuple(rows)
