"""A run's results as JSON and Markdown. Pictures: pictures.py."""

import json
import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .blocks import Interval, bootstrap
from .pictures import Exhibit, draw_exhibit, draw_sheet
from .sheet import Contest, Row, Sheet, contests

FEW_BLOCKS = 6  # a percentile interval over fewer is too narrow
JSON_WIDTH = 160  # characters
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
    settings: dict[str, Any]  # every choice that decides a number; split and seed are among them
    sheets: tuple[Sheet, ...]
    tables: tuple[Table, ...] = ()
    exhibits: tuple[Exhibit, ...] = field(default=(), repr=False)

    @property
    def seed(self) -> int:
        """Of resampling."""
        return int(self.settings["seed"])

    @cached_property
    def contests(self) -> list[Contest]:
        """Ours against every other candidate, metric by metric."""
        return contests(self.sheets, self.seed)

    @property
    def families(self) -> list[str]:
        """Families of protocols, in order of first appearance."""
        return list(dict.fromkeys(sheet.family for sheet in self.sheets))

    def of(self, family: str) -> list[Sheet]:
        """The tables of one family."""
        return [sheet for sheet in self.sheets if sheet.family == family]


def write_report(report: Report, folder: Path) -> None:
    """`report.md`, `report.json` and PNG pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [draw_sheet(sheet, folder) for sheet in report.sheets]
    pictures += [path for exhibit in report.exhibits for path in draw_exhibit(exhibit, folder)]
    shown = "\n\n".join(f"![{path.stem}]({path.name})" for path in pictures)
    (folder / "report.md").write_text(to_markdown(report) + "\n" + shown + "\n", encoding="utf-8")
    write_json(report, folder / "report.json")  # last: where it is, the report is whole


def write_json(report: Report, path: Path) -> None:
    """The same numbers for machines; a bound that does not exist is null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(to_json(report), encoding="utf-8")
    partial.replace(path)


def to_json(report: Report) -> str:
    """What fits on a line stands on one, so that files stay small and two of them can be compared."""
    return _json_lines(plain(_as_dict(report))) + "\n"


def _json_lines(value: Any, indent: str = "") -> str:
    flat = json.dumps(value)
    if len(indent) + len(flat) <= JSON_WIDTH or not isinstance(value, dict | list):
        return flat
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_json_lines(item, deeper)}" for key, item in value.items()]
    else:
        parts = [_json_lines(item, deeper) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{closing}"


def to_markdown(report: Report) -> str:
    """All tables, one family after the other."""
    trained = "trained" if report.model["trained"] else "UNTRAINED"
    head = [
        f"`{report.command}`",
        f"Weights {report.model['name']} ({trained}, {report.model['digest'][:12]}), "
        f"{', '.join(f'{name} {value}' for name, value in report.settings.items())}. "
        "Means with 95 % intervals over resampled spatial blocks.",
    ]
    parts = [_family_markdown(report, family) for family in report.families]
    return "\n\n".join([*head, *parts, *(table_markdown(table) for table in report.tables)])


def _family_markdown(report: Report, family: str) -> str:
    sheets = report.of(family)
    parts = [f"## {family.capitalize()}"]
    parts += [_sheet_markdown(sheet, report.seed) for sheet in sheets]
    parts += [contest_markdown(contest) for contest in report.contests if contest.family == family]
    return "\n\n".join(parts)


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


def contest_markdown(contest: Contest) -> str:
    """Ours, and ours minus each other candidate, set by set."""
    rows = [["ours", *map(str, contest.ours.values()), "", ""]]
    rows += [
        [
            f"minus {gain.name}",
            *map(str, gain.by_set.values()),
            str(gain.pooled),
            f"{gain.above} / {gain.below} of {len(gain.by_set)}",
        ]
        for gain in contest.gains
    ]
    title = f"### Ours against each (paired): {contest.name}\n\n"
    return title + _grid(["", *contest.ours, "pooled", "sets above / below 0"], rows)


def table_markdown(table: Table) -> str:
    rows = [[_cell(value) for value in row] for row in table.rows]
    parts = (f"## {table.title}", table.note, _grid(list(table.header), rows))
    return "\n\n".join(part for part in parts if part)


def _grid(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Cell) -> str:
    if not isinstance(value, float):
        return str(value)
    return _number(value, 0 if value.is_integer() and value > 1 else 3)  # a count, or a score


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _as_dict(report: Report) -> dict[str, Any]:
    return {
        "command": report.command,
        "model": report.model,
        "settings": report.settings,
        "sheets": [_sheet_dict(sheet, report.seed) for sheet in report.sheets],
        "contests": [_contest_dict(contest) for contest in report.contests],
        "tables": [_table_dict(table) for table in report.tables],
    }


def _contest_dict(contest: Contest) -> dict[str, Any]:
    counted = [
        {**asdict(gain), "sets_above_zero": gain.above, "sets_below_zero": gain.below}
        for gain in contest.gains
    ]
    return {"name": contest.name, **asdict(contest), "gains": counted}


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


def plain(value: Any) -> Any:
    """Six digits are more than any interval bears; JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
