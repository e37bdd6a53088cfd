"""The command `skyhex info`: what a table holds, on one screen."""

from collections.abc import Sequence

import h3
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from data.modality import MODALITIES
from indexer.alignment.alignment import fitted_of
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.manifest import SnapshotInfo
from indexer.table.vector_spread import Spread, collapsed, spread_of

from ..terminal_text import shown

_SUMMARY = """
SELECT count(*) AS n_rows, count(DISTINCT split_part(sample_id, '#', 1)) AS n_places,
       min(start_datetime) AS first_start, max(end_datetime) AS last_end,
       min(bbox.xmin) AS west, min(bbox.ymin) AS south, max(bbox.xmax) AS east, max(bbox.ymax) AS north,
       count(*) FILTER (n_hr > 0) AS with_hr, count(*) FILTER (n_s2 > 0) AS with_s2,
       count(*) FILTER (n_s1 > 0) AS with_s1,
       (SELECT list(region_cell ORDER BY region_cell) FROM regions) AS regions
FROM embeddings"""


def print_info(table: EmbeddingTable) -> None:
    """Print the table's model, rows, extent, modalities, index and prototypes."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column()
    for name, value in describe(table).items():
        grid.add_row(name, shown(value))
    Console().print(grid)


def provenance(table: EmbeddingTable) -> str | None:
    """A warning where a table's vectors prove nothing: untrained weights, simulated imagery, or both."""
    words = [
        *([] if table.model.trained else [f"made by untrained weights ({table.model.name})"]),
        *(["made from simulated imagery"] if table.simulated else []),
    ]
    return f"these vectors were {' and '.join(words)}" if words else None


def comparable_years(table: EmbeddingTable) -> str | None:
    """Whether the publisher of imported vectors says that those of two years may be compared."""
    config = table.model.config
    if "comparable_years" not in config:
        return None
    said = {True: "says that years may be compared", False: "says that years may not be compared"}
    word = said.get(config["comparable_years"], "does not say whether years may be compared")
    return f"the publisher of {table.model.name} {word}"


def describe(table: EmbeddingTable) -> dict[str, str]:
    """What `info` prints, line by line."""
    from indexer.index.faiss_index import describe_index
    from indexer.sql.limits import OWN_LIMITS
    from indexer.sql.run import run_sql

    row = run_sql(table, _SUMMARY, OWN_LIMITS).to_pylist()[0]
    model = table.model
    place = table.storage.directory or table.storage.root
    lines = {
        "table": f"{place}, snapshot {table.snapshot}" + (", simulated" if table.simulated else ""),
        "model": f"{model}"
        + ("" if model.trained else ", untrained")
        + ("" if table.values == "float16" else f", kept as {table.values}"),
        "licence": _licences(table),
        **({"attribution": attribution} if (attribution := " ".join(_attribution(table))) else {}),
        "rows": f"{row['n_rows']:,} of {row['n_places']:,} places, H3 resolution {table.h3_resolution}",
    }
    if row["n_rows"]:
        lines |= {
            "periods": f"{row['first_start']:%Y-%m-%d} to {row['last_end']:%Y-%m-%d}",
            "extent": f"{row['west']:.4f} {row['south']:.4f} {row['east']:.4f} {row['north']:.4f} (W S E N)",
            "modalities": ", ".join(f"{name.upper()} in {row[f'with_{name}']:,} rows" for name in MODALITIES),
            **_spreads(table),
            "index": describe_index(table),
            "alignment": "; ".join(map(str, fitted_of(table))) or "none: `skyhex align`",
            "prototypes": ", ".join(map(h3.int_to_str, (row["regions"] or [])[:6]))
            or "none: `skyhex prototypes fit`",
        }
    return lines


def _licences(table: EmbeddingTable) -> str:
    """Each licence, with the sources that came under it where there are several."""
    terms = table.manifest.terms
    if len(terms) < 2:
        return table.model.licence
    return "; ".join(f"{one.licence}: {', '.join(one.sources)}" for one in terms)


def _attribution(table: EmbeddingTable) -> list[str]:
    """Sentences to give, of the model, of what was imported and of the imagery."""
    said = [table.model.config.get("attribution") or ""]
    for sentences in [one.attribution for one in table.manifest.terms]:
        said += sentences
    for sentences in [one.attribution for one in table.manifest.imagery]:
        said += sentences
    return [text for text in dict.fromkeys(said) if text]


def _spreads(table: EmbeddingTable) -> dict[str, str]:
    """How much of its dimensions each column of vectors uses, by the index's sample where it has one."""
    lines = {}
    for column in ("embedding", *table.optional_columns):
        spread = _sampled(table, column) or spread_of(table, column)
        note = None if spread is None else collapsed(table, column, spread)
        if spread is not None:
            lines[column] = f"{spread}" + (f"; {note}" if note else "")
    return lines


def _sampled(table: EmbeddingTable, column: str) -> Spread | None:
    """Of the rows that the index keeps at hand; None without one that can be read."""
    from indexer.index.faiss_index import open_index
    from indexer.index.mapped import DamagedIndexError
    from indexer.search.narrow import sampled_spread

    index, _ = open_index(table)
    try:
        return None if index is None else sampled_spread(index, column)
    except DamagedIndexError:
        return None


def snapshot_rows(entries: Sequence[SnapshotInfo]) -> pa.Table:
    """A row per kept snapshot; what its operation did in words."""
    return pa.Table.from_pylist(
        [
            {
                "snapshot": entry.snapshot,
                "committed": f"{entry.committed:%Y-%m-%d %H:%M:%S}Z" if entry.committed else None,
                "operation": entry.operation,
                "done": ", ".join(
                    f"{name} {value}" for name, value in entry.summary.items() if value is not None
                ),
                "rows": entry.row_count,
                "files": entry.files,
            }
            for entry in entries
        ]
    )
