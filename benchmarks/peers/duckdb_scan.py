"""DuckDB without an index: the inner product of every row that the condition keeps, ordered."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from indexer.geo.row_ranges import Rows
from indexer.table.columns import Similarities

from .base import Among, Peer


class DuckDbScan(Peer):
    """A table in DuckDB's own file, vectors as FLOAT[d]."""

    package = "duckdb"
    connection: Any

    def build(self) -> dict[str, float]:
        vector_type = f"FLOAT[{self.data.dimension}]"
        connection = duckdb.connect(str(self.folder / "rows.duckdb"), config={"threads": self.threads})
        connection.execute(f'CREATE TABLE rows ("row" BIGINT, draw FLOAT, vector {vector_type})')
        for start, vectors in self.data.chunks():
            piece = pa.table(
                {
                    "row": np.arange(start, start + len(vectors)),
                    "draw": self.data.draw[start : start + len(vectors)],
                    "vector": pa.FixedSizeListArray.from_arrays(
                        pa.array(vectors.ravel()), self.data.dimension
                    ),
                }
            )
            connection.register("piece", piece)
            connection.execute(f'INSERT INTO rows SELECT "row", draw, vector::{vector_type} FROM piece')
        connection.close()
        return {}

    def open(self) -> None:
        path = str(self.folder / "rows.duckdb")
        self.connection = duckdb.connect(path, read_only=True, config={"threads": self.threads})

    def prepare(self, among: Among) -> str:
        condition = among.sql()
        return (
            f'SELECT "row" FROM rows {"" if condition is None else f"WHERE {condition}"} '
            f"ORDER BY array_inner_product(vector, ?::FLOAT[{self.data.dimension}]) DESC LIMIT ?"
        )

    def search(self, query: Similarities, prepared: Any, k: int) -> Rows:
        answer = self.connection.execute(prepared, [query.tolist(), k]).fetchnumpy()
        return np.asarray(answer["row"], np.int64)
