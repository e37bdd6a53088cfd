"""JSON of finished reports -> one page: the verdict, ours against each baseline, prototypes, leakage."""

from collections.abc import Mapping
from typing import Any

from .blocks import Interval
from .report import Cell, Table, contest_markdown, table_markdown
from .sheet import Contest, Gain

LEFT_OUT = ("Compression", ": AMI by region")  # long tables, by how their titles begin or end


def summary(command: str, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of `skyhex eval all`: one section per part, linked to its full report."""
    model = next(iter(reports.values()))["model"]
    settings = next(iter(reports.values()))["settings"]
    head = [
        "# Results",
        f"Written by `{command}`; not edited. Weights {model['name']} "
        f"({'trained' if model['trained'] else 'UNTRAINED'}, SHA-256 {model['digest']}), "
        f"split {settings['split']}, seed {settings['seed']}. "
        "What each table and row is: [docs/evaluation.md](../evaluation.md).",
    ]
    return "\n\n".join([*head, *(_section(name, report) for name, report in reports.items())]) + "\n"


def _section(name: str, report: Mapping[str, Any]) -> str:
    tables = [_table(table) for table in report["tables"]]
    shown = [t for t in tables if not (t.title.startswith(LEFT_OUT) or t.title.endswith(LEFT_OUT))]
    verdicts = [table_markdown(table) for table in shown if table.title == "Verdict"]
    others = [table_markdown(table) for table in shown if table.title != "Verdict"]
    contests = [contest_markdown(_contest(contest)) for contest in report["contests"]]
    title = f"# {name.capitalize()}\n\nEvery table and picture: [{name}/report.md]({name}/report.md)."
    return "\n\n".join([title, *verdicts, *contests, *others])


def _contest(found: Mapping[str, Any]) -> Contest:
    gains = (
        Gain(gain["name"], _interval(gain["pooled"]), _by_set(gain["by_set"])) for gain in found["gains"]
    )
    return Contest(found["family"], found["title"], found["metric"], _by_set(found["ours"]), tuple(gains))


def _table(found: Mapping[str, Any]) -> Table:
    rows = tuple(tuple(_cell(value) for value in row) for row in found["rows"])
    return Table(found["title"], tuple(found["header"]), rows, found["note"])


def _cell(value: Any) -> Cell:
    if isinstance(value, dict):
        return _interval(value)
    return float("nan") if value is None else value


def _by_set(found: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: _interval(interval) for name, interval in found.items()}


def _interval(found: Mapping[str, Any]) -> Interval:
    return Interval(*(float("nan") if found[k] is None else found[k] for k in ("mean", "low", "high")))
