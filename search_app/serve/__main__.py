"""Serves a table until it is told to stop: `skyhex serve` starts it, as a process of its own."""

import argparse
import os
import socket
import stat
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import uvicorn

from data.access import UnreachableError
from data.sample import InputError
from indexer.errors import QueryError, TableError
from indexer.index.crew import Searcher
from indexer.sql.limits import DEFAULT_MEMORY, Limits
from pipeline.on_device.searcher import searcher_of
from pipeline.on_ray.start import ray_crew

from ..terminal_text import visible
from .app import SQL_LIMITS, Settings, make_app
from .guard import LOOPBACK, Guard, Rules

MOST_CONNECTIONS = 256
KEEP_ALIVE_S = 10
LEAST_TOKEN = 16  # characters


class ServeError(ValueError):
    """The service cannot be started like this; says what to do."""


def main() -> None:
    """Entry point."""
    given = _arguments().parse_args()
    try:
        serve(given)
    except (ServeError, TableError, QueryError, InputError, UnreachableError, OSError) as error:
        print(f"error {visible(error)}", file=sys.stderr)
        sys.exit(2)


def serve(given: argparse.Namespace) -> None:
    """Until Ctrl-C or SIGTERM. Raises ServeError, TableError, and what `searcher` raises."""
    token = None if given.token_file is None else read_token(given.token_file)
    check_host(given.host, token, encrypted=given.tls_cert is not None, insecure=given.insecure_http)
    workers = given.workers or os.cpu_count() or 2
    rules = Rules((*LOOPBACK, given.host), token)
    limits = Limits.of(given.sql_timeout, given.sql_memory, given.sql_rows, flags="sql-")
    with searcher(given) as searching:
        settings = Settings(rules, workers, given.waiting, given.weights, limits, searching)
        run(given, make_app(given.table, settings))


def searcher(given: argparse.Namespace) -> AbstractContextManager[Searcher | None]:
    """Who searches in place of this process. Raises ServeError, and what its kind raises."""
    if given.engine == "local":
        if given.address is not None:
            raise ServeError("--address is of a Ray: expected --engine ray with it")
        return searcher_of(given.device, given.shard_workers, given.shard_limit, _say)
    if given.device is not None:
        raise ServeError("--device is this machine's, and Ray's actors hold shards: leave one out")
    return ray_crew(given.address, given.shard_workers, given.shard_limit)


def _say(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)


def run(given: argparse.Namespace, app: Guard) -> None:
    """Listen, say where, and answer."""
    listening = _listening(given.host, given.port)
    scheme = "http" if given.tls_cert is None else "https"
    host = f"[{given.host}]" if ":" in given.host else given.host
    print(
        f"{visible(given.table)} is on {scheme}://{host}:{listening.getsockname()[1]}\nCtrl-C stops it.",
        file=sys.__stdout__,  # what Ray prints is led away
        flush=True,
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
        ssl_certfile=given.tls_cert,
        ssl_keyfile=given.tls_key,
    )
    uvicorn.Server(config).run(sockets=[listening])


def check_host(host: str, token: str | None, *, encrypted: bool, insecure: bool) -> None:
    """Raises ServeError where others could listen in, or ask without a token."""
    if host in LOOPBACK:
        return
    if token is None:
        raise ServeError(f"{host} is seen by others: give a token with --token-file, or leave --host out")
    if not encrypted and not insecure:
        raise ServeError(
            f"on {host} the token would travel unencrypted: give --tls-cert and --tls-key, or say "
            "--insecure-http where a proxy encrypts"
        )


def read_token(path: Path) -> str:
    """What a file of one token holds. Raises ServeError."""
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ServeError(f"{path} cannot be read ({error}): expected a file that holds a token") from error
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        raise ServeError(f"{path} can be read by others: run `chmod 600 {path}`")
    if len(text) < LEAST_TOKEN or not text.isascii() or len(text.split()) != 1:
        raise ServeError(f"{path} holds no token: expected one word of {LEAST_TOKEN} characters or more")
    return text


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ServeError."""
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(address[:2], family=family, backlog=MOST_CONNECTIONS)
    except OSError as error:
        raise ServeError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another --port"
        ) from error


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="skyhex serve")
    parser.add_argument("--table", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--insecure-http", action="store_true")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--waiting", type=int, default=64)
    parser.add_argument("--sql-timeout", type=float, default=SQL_LIMITS.timeout_s)
    parser.add_argument("--sql-memory", default=DEFAULT_MEMORY)
    parser.add_argument("--sql-rows", type=int, default=SQL_LIMITS.rows)
    parser.add_argument("--shard-workers", type=int)
    parser.add_argument("--shard-limit", type=float)
    parser.add_argument("--device")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--address")
    return parser


if __name__ == "__main__":
    main()
