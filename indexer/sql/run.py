"""SQL over one snapshot, by DuckDB: views and macros to read with, and nothing else within reach.

docs/sql.md shows what can be asked. Only SELECT and EXPLAIN run. DuckDB takes `WITH x AS (COPY ... TO file)`
for a SELECT, so the parse tree of a query is looked through before it runs: reading statements, a short list
of table functions, and no file but the snapshot's own.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
from duckdb import StatementType

from ..errors import QueryError
from ..table.embedding_table import EmbeddingTable
from .views import TABLE_MACROS, add_views

READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
TABLE_FUNCTIONS = {"generate_series", "json_each", "json_tree", "range", "unnest", *TABLE_MACROS}
EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(ANALYZE\b\s*)?(\(\s*(ANALYZE|FORMAT)\b[^)]*\))?", re.IGNORECASE)


def run_sql(
    table: EmbeddingTable, query: str, *, memory_limit: str = "2GB", timeout_s: float | None = None
) -> pa.Table:
    """Answer one SELECT or EXPLAIN over the views `embeddings`, `prototypes` and `regions`.

    DuckDB checks no checksums, so the files' digests are checked the first time a process reads them.

    Args:
        table: one snapshot; the files of a table in a bucket are fetched first.
        query: DuckDB's SQL.
        memory_limit: what DuckDB may take; nothing is spilled to disk.
        timeout_s: give up after so long.

    Raises:
        QueryError: not one reading statement, wrong SQL, or beyond a limit.
        TableError: a damaged file, or one that cannot be fetched.
    """
    with explained(timeout_s), connect(table, memory_limit) as connection:
        check_reads_only(connection, query)
        with _stopped_after(connection, timeout_s):
            answer: pa.Table = connection.sql(query).to_arrow_table()
            return answer


def connect(table: EmbeddingTable, memory_limit: str = "2GB") -> duckdb.DuckDBPyConnection:
    """A connection that sees the snapshot, its files' digests checked, and can change nothing."""
    config = {"memory_limit": memory_limit, "temp_directory": "", "python_enable_replacements": "false"}
    connection = duckdb.connect(config=config)
    allowed = add_views(connection, table)
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
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(child)


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
def _stopped_after(connection: duckdb.DuckDBPyConnection, timeout_s: float | None) -> Iterator[None]:
    timer = threading.Timer(timeout_s, connection.interrupt) if timeout_s is not None else None
    if timer:
        timer.start()
    try:
        yield
    finally:
        if timer:
            timer.cancel()


@contextmanager
def explained(timeout_s: float | None = None) -> Iterator[None]:
    """DuckDB's errors as QueryError."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise QueryError(f"stopped after {timeout_s} s: ask for less, or raise the limit") from error
    except duckdb.OutOfMemoryException as error:
        raise QueryError(f"more memory than allowed: select fewer columns or rows ({error})") from error
    except duckdb.Error as error:
        raise QueryError(f"SQL: {error}") from error
