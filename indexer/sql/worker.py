"""The process in which DuckDB runs: `apart.py` starts it, and ends it.

A request is a line of JSON on stdin; its answer is a line on stdout, and an Arrow stream where there are
rows. It lives no longer than whoever started it: at the end of stdin it ends, whatever it does.
"""

import json
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

from ..errors import QueryError
from .limits import Limits
from .reading import answer, connect
from .source import Source

DEEPEST = 20_000  # Python's calls within calls: DuckDB's parser allows expressions of 1,000


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setrecursionlimit(DEEPEST)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else is written there
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    with suppress(BrokenPipeError):  # nobody waits any more
        _tell(answers, {"ready": True})
        while True:
            _serve(json.loads(requests.get()), answers)
    os._exit(0)


def _listen(requests: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def _serve(request: dict[str, Any], answers: BinaryIO) -> None:
    limits = Limits(**request["limits"])
    try:
        connection = _connection(request["source"], limits.memory_bytes)
        rows = answer(connection, request["query"], limits)
    except QueryError as error:
        _tell(answers, {"error": str(error)})
        return
    _tell(answers, {"rows": rows.num_rows})
    with pa.ipc.new_stream(answers, rows.schema) as stream:
        stream.write_table(rows)
    answers.flush()


def _tell(answers: BinaryIO, head: dict[str, Any]) -> None:
    answers.write(json.dumps(head).encode() + b"\n")
    answers.flush()


@lru_cache(maxsize=2)
def _connection(source: str, memory_bytes: int) -> duckdb.DuckDBPyConnection:
    return connect(Source.from_json(source), memory_bytes)


if __name__ == "__main__":
    main()
