"""Places of which a table holds nothing, and why: `skipped.json` beside it.

Several jobs may fill one table, so each keeps what the others wrote. What the file lost is found again by
what the table should hold and does not, but for the reason.
"""

import json
from collections.abc import Iterable
from typing import Any

from data.site import Skip
from indexer.errors import TableError
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.storage import Storage

SKIPPED_FILE = "skipped.json"
LOST_REASON = "left out by an earlier run; why is no longer known"


def keep_skips(table: EmbeddingTable, skips: Iterable[Skip]) -> None:
    """Add to what is left out."""
    with table.storage.turn():
        _write(table.storage, [*_read(table.storage), *skips])


def settle_skips(table: EmbeddingTable, done: Iterable[str]) -> list[Skip]:
    """What is left out at the end of a job: one skip a place of which the newest snapshot holds nothing.

    `done` are the samples that were committed or left out.
    """
    with table.storage.turn():
        newest = EmbeddingTable.open(table.storage.root)
        held = {_place(i) for batch in newest.scan(["sample_id"]) for i in batch["sample_id"].to_pylist()}
        told = {_place(skip.sample_id): skip.reason for skip in _read(table.storage)}
        reasons = told | {place: LOST_REASON for place in map(_place, done) if place not in told}
        skips = [Skip(place, reason) for place, reason in reasons.items() if place not in held]
        _write(table.storage, skips)
        return skips


def _place(sample_id: str) -> str:
    """Of a tile or a whole sample."""
    return sample_id.split("#")[0]


def _read(storage: Storage) -> list[Skip]:
    """The entries that say what and why; a file that is missing or damaged has none."""
    try:
        entries = json.loads(storage.read(SKIPPED_FILE))
    except (TableError, ValueError, RecursionError):
        return []
    return [skip for skip in map(_skip, entries if isinstance(entries, list) else []) if skip]


def _skip(entry: Any) -> Skip | None:
    match entry:
        case {"sample_id": str(sample_id), "reason": str(reason)}:
            return Skip(sample_id, reason)
    return None


def _write(storage: Storage, skips: Iterable[Skip]) -> None:
    entries = [{"sample_id": skip.sample_id, "reason": skip.reason} for skip in skips]
    storage.put(SKIPPED_FILE, (json.dumps(entries, indent=1) + "\n").encode(), flush=False)
