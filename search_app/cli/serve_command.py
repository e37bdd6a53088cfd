"""`skyhex serve`: the table over HTTP, by a process that takes this one's place."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from indexer.sql.limits import DEFAULT_MEMORY, DEFAULT_TIMEOUT_S

from .installation import InstallationError
from .options import DEFAULT_TABLE, AddressOption, Engine, TableOption, WeightsOption
from .search_options import DEVICE_HELP, LIMIT_HELP, SHARDS_HELP

app = typer.Typer()
MODULE = "search_app.serve"
ROOT = Path(__file__).resolve().parents[2]


@app.command()
def serve(
    table: TableOption = DEFAULT_TABLE,
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that others see needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65_535)] = 8765,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that callers send.", metavar="FILE")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate, for https.", metavar="FILE")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.", metavar="FILE")] = None,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="Let a token travel unencrypted: a proxy encrypts.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Questions worked on at once (one a core).", min=1)
    ] = None,
    weights: WeightsOption = "nano",
    waiting: Annotated[int, typer.Option(help="Questions that may wait; beyond, 429.", min=0)] = 64,
    sql_timeout: Annotated[float, typer.Option(help="Seconds of a query; 0: no limit.")] = DEFAULT_TIMEOUT_S,
    sql_memory: Annotated[str, typer.Option(help="Of a query.", metavar="SIZE")] = DEFAULT_MEMORY,
    sql_rows: Annotated[int, typer.Option(help="Of an answer in SQL; 0: no limit.")] = 100_000,
    shard_workers: Annotated[int | None, typer.Option(help=SHARDS_HELP, min=1)] = None,
    shard_limit: Annotated[float | None, typer.Option(help=LIMIT_HELP)] = None,
    device: Annotated[str | None, typer.Option(help=DEVICE_HELP, metavar="NAME")] = None,
    engine: Annotated[
        Engine, typer.Option(help="Who holds shards: processes here, or actors of Ray.")
    ] = "local",
    address: AddressOption = None,
) -> None:
    """Serve the table to other programs: search, SQL, features, vector tiles (OpenAPI at /openapi.json)."""
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
        raise InstallationError('FastAPI is not installed: run pip install -e ".[cpu,serve]"')
    given = {
        "table": table, "host": host, "port": port, "waiting": waiting, "weights": weights,
        "token-file": token_file, "tls-cert": tls_cert, "tls-key": tls_key, "workers": workers,
        "sql-timeout": sql_timeout, "sql-memory": sql_memory, "sql-rows": sql_rows,
        "shard-workers": shard_workers, "shard-limit": shard_limit, "device": device,
        "engine": engine, "address": address,
    }  # fmt: skip
    words = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    words += ["--insecure-http"] if insecure_http else []
    sys.stdout.flush()
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    os.execve(sys.executable, [sys.executable, "-m", MODULE, *words], environment)
