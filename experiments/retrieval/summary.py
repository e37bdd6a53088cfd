"""JSON of finished reports -> one page: the verdict, ours against each baseline, prototypes, leakage."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .blocks import Interval
from .report import Cell, Table, contest_markdown, table_markdown
from .sheet import Contest, Gain

LEFT_OUT = ("Compression", "AMI by region, the largest")  # long tables, by how their titles begin or end
MISSING = ("set", "task", "expected")
KINDS = (  # how the names of baselines begin, the longer before the shorter
    "untrained encoder", "statistics", "RCF, Gaussian", "RCF, whitened patches", "season, whitened",
    "raw series, half whitened", "raw", "CCA",
)  # fmt: skip
OF_ONE_SENSOR = ("raw S1", "raw S2", "season S1", "season S2")  # beside a row of all sensors


def summary(
    command: str, reports: Mapping[str, Mapping[str, Any]], missing: Sequence[tuple[str, str, str]] = ()
) -> str:
    """The page of `skyhex eval all`: one section per part, linked to its full report.

    Args:
        missing: what could not be run: what it is, its task, and what was looked for.
    """
    model = next(iter(reports.values()))["model"]
    settings = next(iter(reports.values()))["settings"]
    head = [
        "# Results",
        f"Written by `{command}`; not edited. Weights {model['name']} "
        f"({'trained' if model['trained'] else 'UNTRAINED'}, SHA-256 {model['digest']}), "
        f"split {settings['split']}, seed {settings['seed']}. "
        "What each table and row is: [docs/evaluation.md](../evaluation.md).",
    ]
    sections = (_deeper(_section(name, report)) for name, report in reports.items())
    parts = [*head, table_markdown(all_sets(reports)), *sections]
    if missing:
        note = "No number of these is told here. Expected below the folder that was given."
        parts.append(table_markdown(Table("Not run, for want of data", MISSING, tuple(missing), note)))
    return "\n\n".join(parts) + "\n"


def all_sets(reports: Mapping[str, Mapping[str, Any]]) -> Table:
    """On how many sets of all parts ours lies above each kind of baseline, and below."""
    counts: dict[tuple[str, str], list[int]] = {}
    for contest in (contest for report in reports.values() for contest in report["contests"]):
        for gain in contest["gains"]:
            if gain["name"].startswith(OF_ONE_SENSOR):
                continue
            if kind := next((kind for kind in KINDS if gain["name"].startswith(kind)), ""):
                count = counts.setdefault((contest["name"], kind), [0, 0, 0])
                more = (gain["sets_above_zero"], gain["sets_below_zero"], len(gain["by_set"]))
                count[:] = [a + b for a, b in zip(count, more, strict=True)]
    rows = tuple((*key, f"{above} / {below} of {n}") for key, (above, below, n) in counts.items())
    note = (
        "Sets whose paired 95 % interval lies above / below zero. Pooled, and the bar: each part's verdict."
    )
    return Table("All sets", ("table, metric", "ours against", "above / below"), rows, note)


def _deeper(markdown: str) -> str:
    """Headings one level down."""
    return re.sub("^#", "##", markdown, flags=re.MULTILINE)


def _section(name: str, report: Mapping[str, Any]) -> str:
    tables = [_table(table) for table in report["tables"]]
    shown = [t for t in tables if not (t.title.startswith(LEFT_OUT) or t.title.endswith(LEFT_OUT))]
    verdicts = [table_markdown(table) for table in shown if table.title == "Verdict"]
    others = [table_markdown(table) for table in shown if table.title != "Verdict"]
    contests = [contest_markdown(_contest(contest)) for contest in report["contests"]]
    title = f"# {name.capitalize()}\n\nEvery table and picture: [{name}/report.md]({name}/report.md)."
    return "\n\n".join([title, *verdicts, *contests, *others])


def _contest(written: Mapping[str, Any]) -> Contest:
    gains = (
        Gain(gain["name"], _interval(gain["pooled"]), _by_set(gain["by_set"])) for gain in written["gains"]
    )
    return Contest(
        written["family"], written["title"], written["metric"], _by_set(written["ours"]), tuple(gains)
    )


def _table(written: Mapping[str, Any]) -> Table:
    rows = tuple(tuple(_cell(value) for value in row) for row in written["rows"])
    return Table(written["title"], tuple(written["header"]), rows, written["note"])


def _cell(value: Any) -> Cell:
    if isinstance(value, dict):
        return _interval(value)
    return float("nan") if value is None else value


def _by_set(written: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: _interval(interval) for name, interval in written.items()}


def _interval(written: Mapping[str, Any]) -> Interval:
    return Interval(*(float("nan") if written[k] is None else written[k] for k in ("mean", "low", "high")))
