"""Files and folders of other people's Parquet, in one go: what cannot be read is left out and named.

A folder stands for the Parquet files below it, in order of name. In a hive (`.../year=2024/month=6/...`) a
file of aggregates stands for its month, or its year: that is the period of its rows, whatever day they name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import TableError
from ..progress import Progress
from .embedding_table import EmbeddingTable
from .foreign import Period, period_of
from .importers import Imported, Layout, done_keys, import_file
from .schema import Values

ENDINGS = (".parquet", ".geoparquet", ".gpq", ".pq")
AGGREGATES = "aggregated"  # a folder that says that its rows stand for the period of their folder
SCENES = "scene"  # one that holds the same places by single scenes


@dataclass(frozen=True)
class Skipped:
    """A file that could not be imported."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ImportedFiles:
    """What an import of several files did."""

    table: EmbeddingTable
    files: tuple[tuple[Path, Imported], ...]
    skipped: tuple[Skipped, ...]  # the same command tries them again


def import_files(
    paths: Sequence[Path],
    layout: Layout,
    into: str | Path,
    *,
    period: Period | None = None,
    h3_resolution: int | None = None,
    values: Values | None = None,
    progress: Progress | None = None,
) -> ImportedFiles:
    """Import files, and the files of folders, one after the other; see `import_file`.

    The same call goes on where an earlier one stopped, and does only what is new where files were added.

    Args:
        progress: called with rows done and rows in all.

    Raises:
        TableError: a folder without Parquet, or of scenes and aggregates at once; or no file could be
            imported, with the reason of the first.
    """
    files = [file for path in paths for file in parquet_files(path)]
    periods = [period or hive_period(file) for file in files]
    table = EmbeddingTable.open(into) if EmbeddingTable.exists(into) else None
    done = done_keys(table, list(zip(files, periods, strict=True)), layout)
    rows = [_row_count(file) for file in files]
    imported: list[tuple[Path, Imported]] = []
    skipped: list[Skipped] = []
    for i, (file, of_file) in enumerate(zip(files, periods, strict=True)):
        try:
            one = import_file(
                file,
                layout,
                into,
                period=of_file,
                h3_resolution=h3_resolution,
                values=values,
                done=done,
                progress=_after(progress, sum(rows[:i]), sum(rows)),
            )
        except TableError as error:
            skipped.append(Skipped(file, str(error)))
        else:
            imported.append((file, one))
    if not imported:
        others = f" (and {len(skipped) - 1} more files)" if len(skipped) > 1 else ""
        raise TableError(skipped[0].reason + others)
    return ImportedFiles(imported[-1][1].table, tuple(imported), tuple(skipped))


def parquet_files(path: Path) -> list[Path]:
    """The file, or the Parquet files below a folder in order of name.

    Raises:
        TableError: a folder without any, or one that holds scenes and their aggregates: the same twice.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix in ENDINGS and file.is_file())
    if not files:
        raise TableError(f"{path} holds no file that ends in {', '.join(ENDINGS)}")
    kinds = {kind for file in files for kind in (AGGREGATES, SCENES) if kind in file.relative_to(path).parts}
    if len(kinds) == 2:
        raise TableError(
            f"{path} holds the same places twice, in {SCENES}/ and {AGGREGATES}/: give one of the two"
        )
    return files


def hive_period(file: Path) -> Period | None:
    """The month, or year, of the folder of aggregates that a file lies in; None elsewhere."""
    named = dict(part.split("=", 1) for part in file.parts[:-1] if re.fullmatch(r"\w+=\d+", part))
    if AGGREGATES not in file.parts or "year" not in named:
        return None
    text = named["year"] + (f"-{int(named['month']):02}" if "month" in named else "")
    return period_of(text, "the folder's period")


def _row_count(file: Path) -> int:
    """For the progress; 0 of a file that cannot be read."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return 0


def _after(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Of one file, as that of all: rows before it, and rows in all."""
    return None if progress is None else lambda done, _: progress(before + done, total)
