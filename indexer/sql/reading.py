"""A connection that reads one snapshot: views and macros to read with, and nothing else within reach.

docs/sql.md shows what can be asked. Only SELECT and EXPLAIN run. DuckDB takes `WITH x AS (COPY ... TO file)`
for a SELECT, so the parse tree of a query is looked through before it runs: reading statements, a short list
of table functions, and no file but the snapshot's own.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
from duckdb import StatementType

from ..errors import QueryError
from .limits import Limits
from .source import Source
from .views import TABLE_MACROS, add_views

BATCH_ROWS = 100_000
READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
TABLE_FUNCTIONS = {"generate_series", "json_each", "json_tree", "range", "unnest", *TABLE_MACROS}
EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(ANALYZE\b\s*)?(\(\s*(ANALYZE|FORMAT)\b[^)]*\))?", re.IGNORECASE)


def answer(connection: duckdb.DuckDBPyConnection, query: str, limits: Limits) -> pa.Table:
    """The rows of one reading statement. Raises QueryError; who waits for it keeps the limit of time."""
    with explained(limits):
        check_reads_only(connection, query)
        reader = connection.sql(query).to_arrow_reader(BATCH_ROWS)
        return pa.Table.from_batches(_within(reader, limits), reader.schema)


def _within(batches: Iterable[pa.RecordBatch], limits: Limits) -> Iterator[pa.RecordBatch]:
    rows = size = 0
    for batch in batches:
        rows += batch.num_rows
        size += batch.nbytes
        if limits.rows is not None and rows > limits.rows:
            raise limits.too_many_rows()
        if size > limits.memory_bytes:
            raise limits.out_of_memory()
        yield batch


def connect(source: Source, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """A connection that sees the snapshot and can change nothing."""
    config = {
        "memory_limit": f"{memory_bytes // 1000}KB",
        "temp_directory": "",
        "python_enable_replacements": "false",
    }
    connection = duckdb.connect(config=config)
    allowed = add_views(connection, source)
    connection.execute("SET allowed_paths = ?", [allowed])
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")  # parts never change
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def check_reads_only(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Raises QueryError for whatever is more than reading the views."""
    statement = _one_statement(connection, query)
    if statement.type == StatementType.EXPLAIN:
        statement = _one_statement(connection, EXPLAIN.sub("", statement.query, count=1))
    if statement.type != StatementType.SELECT:
        kind = statement.type.name
        raise QueryError(f"{kind} is not allowed: a table is only read here, by SELECT or EXPLAIN")
    for node in _nodes(_parse_tree(connection, statement.query)):
        _check_node(node)


def _one_statement(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements: expected one SELECT or EXPLAIN")
    return statements[0]


def _parse_tree(connection: duckdb.DuckDBPyConnection, select: str) -> Any:
    (row,) = connection.execute("SELECT json_serialize_sql(?)", [select]).fetchall()
    tree = json.loads(row[0])
    if tree.get("error", True):
        raise QueryError(
            f"this form of SELECT cannot be checked: {tree.get('error_message', 'no parse tree')}"
        )
    return tree["statements"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parse tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _check_node(node: dict[str, Any]) -> None:
    kind = str(node.get("type"))
    if kind.endswith("_NODE") and kind not in READING_NODES:
        what = kind.removesuffix("_NODE").removesuffix("_QUERY")
        raise QueryError(f"{what} inside a query is not allowed: a table is only read here")
    if kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name")).lower()
        if name not in TABLE_FUNCTIONS:
            raise QueryError(
                f"{name}() is not allowed: a query reads the views embeddings, prototypes and regions, "
                f"and the table functions {', '.join(sorted(TABLE_FUNCTIONS))}"
            )


@contextmanager
def explained(limits: Limits) -> Iterator[None]:
    """The errors of DuckDB, and of those who take its statements and answers apart, as QueryError."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError) as error:
        raise limits.out_of_memory() from error
    except duckdb.Error as error:
        raise QueryError(f"SQL: {error}") from error
    except RecursionError as error:
        raise QueryError("SQL: this statement is nested too deeply") from error
    except pa.ArrowInvalid as error:
        raise QueryError(f"SQL: this answer cannot be handed over: {error}") from error
