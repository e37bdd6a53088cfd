"""The table that a server answers from: one snapshot a request, a newer one soon after it is committed."""

import re
import threading
import time

import numpy as np

from indexer.geo.row_ranges import Mask
from indexer.index.segment import Keys
from indexer.recent import Recent
from indexer.search.filter import Filter
from indexer.search.matching import Matching
from indexer.table.columns import KEY_NUMBERS, key_numbers
from indexer.table.embedding_table import EmbeddingTable

LOOKED_EVERY_S = 1.0  # for a newer snapshot
WHERE = re.compile(r"\w+/|/\w+")  # a path that says more than a name
KEPT_BYTES = 2 << 30  # of keys


class Served:
    """A table's place, and what is kept of it."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._newest = EmbeddingTable.open(place)
        self._looked_s = time.monotonic()
        self._keys = Recent[Keys](KEPT_BYTES, lambda keys: 24 * len(keys.cells))

    @property
    def name(self) -> str:
        """What it is called."""
        return self._newest.storage.name

    def table(self, snapshot: int | None = None) -> EmbeddingTable:
        """A snapshot, the newest by default. Raises TableError."""
        with self._lock:
            if time.monotonic() - self._looked_s > LOOKED_EVERY_S:
                self._newest = EmbeddingTable.open(self._place)
                self._looked_s = time.monotonic()
            newest = self._newest
        return newest if snapshot in (None, newest.snapshot) else EmbeddingTable.open(self._place, snapshot)

    def hidden(self, text: str) -> str:
        """What is said of the table, without where it lies."""
        storage = self._newest.storage
        places = {self._place, storage.root, str(storage.workspace(""))}
        for place in sorted(filter(WHERE.search, places), key=len, reverse=True):
            text = text.replace(place, self.name)
        return text

    def matching(self, table: EmbeddingTable, filter: Filter) -> Mask:
        """Which rows (n,) match."""
        keys = self._keys.get((table.storage, table.snapshot), lambda: _keys(table))
        return Matching.of(table, filter).in_table_order(keys)


def _keys(table: EmbeddingTable) -> Keys:
    """Of all rows, in order."""
    read = [key_numbers(batch) for batch in table.scan(KEY_NUMBERS)]
    dtypes = np.uint64, np.int64, np.int64
    return Keys.of(*(np.concatenate([np.empty(0, t), *(r[i] for r in read)]) for i, t in enumerate(dtypes)))
