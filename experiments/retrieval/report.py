"""A run's results as JSON and Markdown. Pictures: pictures.py."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .blocks import Interval, bootstrap
from .pictures import Exhibit, draw_exhibit, draw_sheet
from .sheet import Gain, Row, Sheet, gains_over_sets

FEW_BLOCKS = 6  # a percentile interval over fewer is too narrow
Cell = str | float | Interval


@dataclass(frozen=True)
class Table:
    """A further table: leakage, compression, prototypes."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that one command found."""

    command: str
    model: dict[str, Any]  # name, digest, trained
    split: str
    seed: int
    sheets: tuple[Sheet, ...]
    tables: tuple[Table, ...] = ()
    exhibits: tuple[Exhibit, ...] = field(default=(), repr=False)

    @property
    def families(self) -> list[str]:
        """Families of protocols, in order of first appearance."""
        return list(dict.fromkeys(sheet.family for sheet in self.sheets))

    def of(self, family: str) -> list[Sheet]:
        """The tables of one family."""
        return [sheet for sheet in self.sheets if sheet.family == family]

    def gains(self, family: str) -> list[Gain]:
        """Ours minus each other candidate over all sets of one family."""
        return gains_over_sets(self.of(family), self.seed)


def write_report(report: Report, folder: Path) -> None:
    """`report.md`, `report.json` and PNG pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [draw_sheet(sheet, folder) for sheet in report.sheets]
    pictures += [path for exhibit in report.exhibits for path in draw_exhibit(exhibit, folder)]
    shown = "\n\n".join(f"![{path.stem}]({path.name})" for path in pictures)
    (folder / "report.md").write_text(to_markdown(report) + "\n" + shown + "\n", encoding="utf-8")
    write_json(report, folder / "report.json")


def write_json(report: Report, path: Path) -> None:
    """The same numbers for machines; a bound that does not exist is null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_plain(_as_dict(report)), indent=1) + "\n", encoding="utf-8")


def to_markdown(report: Report) -> str:
    """All tables, one family after the other."""
    trained = "trained" if report.model["trained"] else "UNTRAINED"
    head = [
        f"`{report.command}`",
        f"Weights {report.model['name']} ({trained}, {report.model['digest'][:12]}), split {report.split}, "
        f"seed {report.seed}. Means with 95 % intervals over resampled spatial blocks.",
    ]
    parts = [_family_markdown(report, family) for family in report.families]
    return "\n\n".join([*head, *parts, *(_table_markdown(table) for table in report.tables)])


def _family_markdown(report: Report, family: str) -> str:
    sheets = report.of(family)
    parts = [f"## {family.capitalize()}"]
    parts += [_sheet_markdown(sheet, report.seed) for sheet in sheets]
    return "\n\n".join([*parts, _gains_markdown(report.gains(family), sheets[0].headline)])


def _sheet_markdown(sheet: Sheet, seed: int) -> str:
    problem = sheet.problem
    blocks = len(set(problem.query_block.tolist()))
    size = (
        f"{len(problem.queries)} queries in {blocks} blocks, "
        f"{problem.database_size} rows to find, {len(problem.classes)} classes, "
        f"majority {problem.majority_share:.2f}"
    )
    notes = [size, *problem.notes]
    if blocks < FEW_BLOCKS:
        notes.append(f"{blocks} blocks are few: read intervals as a hint")
    if problem.is_balanced and sheet.family != "cross-modal":
        notes.append("scores are balanced over classes")
    metrics = list(sheet.rows[0].scores)
    rows = [_row_cells(row, metrics, seed) for row in sheet.rows]
    title = f"### {problem.name} {sheet.title}".rstrip()
    return "\n\n".join([title, "; ".join(notes) + ".", _grid(["", *metrics, "bytes", "ms"], rows)])


def _row_cells(row: Row, metrics: list[str], seed: int) -> list[str]:
    scores = [str(bootstrap(row.scores[m], seed=seed)) if m in row.scores else "-" for m in metrics]
    return [row.name, *scores, _number(row.bytes_per_item, 0), _number(row.ms_per_item, 2)]


def _gains_markdown(gains: list[Gain], metric: str) -> str:
    rows = [
        [
            gain.name,
            str(gain.pooled),
            f"{gain.above} / {gain.below} of {len(gain.by_set)}",
            *map(str, gain.by_set.values()),
        ]
        for gain in gains
    ]
    header = [f"ours minus, {metric}", "pooled", "sets above / below 0", *(gains[0].by_set if gains else [])]
    return "### Ours against each (paired)\n\n" + _grid(header, rows)


def _table_markdown(table: Table) -> str:
    rows = [[_cell(value) for value in row] for row in table.rows]
    parts = (f"## {table.title}", table.note, _grid(list(table.header), rows))
    return "\n\n".join(part for part in parts if part)


def _grid(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Cell) -> str:
    return _number(value, 3) if isinstance(value, float) else str(value)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _as_dict(report: Report) -> dict[str, Any]:
    return {
        "command": report.command,
        "model": report.model,
        "split": report.split,
        "seed": report.seed,
        "sheets": [_sheet_dict(sheet, report.seed) for sheet in report.sheets],
        "gains": {family: [_gain_dict(gain) for gain in report.gains(family)] for family in report.families},
        "tables": [_table_dict(table) for table in report.tables],
    }


def _gain_dict(gain: Gain) -> dict[str, Any]:
    return {**asdict(gain), "sets_above_zero": gain.above, "sets_below_zero": gain.below}


def _table_dict(table: Table) -> dict[str, Any]:
    values = [[asdict(v) if isinstance(v, Interval) else v for v in row] for row in table.rows]
    return {"title": table.title, "note": table.note, "header": table.header, "rows": values}


def _sheet_dict(sheet: Sheet, seed: int) -> dict[str, Any]:
    problem = sheet.problem
    return {
        "family": sheet.family,
        "set": problem.name,
        "title": sheet.title,
        "queries": len(problem.queries),
        "blocks": len(set(problem.query_block.tolist())),
        "database": problem.database_size,
        "classes": problem.classes,
        "majority_share": problem.majority_share,
        "balanced": problem.is_balanced and sheet.family != "cross-modal",
        "notes": problem.notes,
        "rows": [
            {
                "name": row.name,
                "bytes_per_item": row.bytes_per_item,
                "ms_per_item": row.ms_per_item,
                "scores": {m: asdict(bootstrap(s, seed=seed)) for m, s in row.scores.items()},
            }
            for row in sheet.rows
        ],
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
