"""The Ray to work on: one of this job's own, out of reach of other machines, or one that an address names."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from data.access import UnreachableError
from data.sample import InputError

from .shares import TRIES, Node

LOOPBACK = "127.0.0.1"
HEAD_PORT = 6379  # Ray's own default
KNOCK_S, ANSWER_S = 5.0, 60.0  # until a head takes a connection, and until it has let a driver in
TOKENS, TOKEN_FILE = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"), ".ray/auth_token"  # where Ray looks for it
STORE_BYTES = 512 << 20  # of shared memory, in a cluster of our own
CONFIG = {  # of it
    "task_oom_retries": TRIES,  # without end by default
    "enable_worker_prestart": False,  # processes that nobody has asked for
    "prestart_worker_first_driver": False,
    "enable_metrics_collection": False,  # nobody reads them
    "event_stats": False,
}


@contextmanager
def own(cpus: int) -> Iterator[list[Node]]:
    """A Ray of this machine that ends with the job, and hands out so many CPUs, however many there are."""
    # Read when Ray is imported; this is what binds its ports to loopback, `_node_ip_address` does not.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    short = "/tmp" if Path("/tmp").is_dir() else None  # names of sockets are a hundred letters long at most
    options = {
        "address": "local",  # whatever RAY_ADDRESS says
        "num_cpus": cpus,
        "object_store_memory": STORE_BYTES,
        "include_dashboard": False,
        "_system_config": CONFIG,
    }
    with (
        tempfile.TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True) as folder,
        _driver(_temp_dir=folder, **options) as nodes,
    ):
        from ray.util import get_node_ip_address

        if (address := get_node_ip_address()) != LOOPBACK:
            raise InputError(
                f"Ray listens on {address}, for it was imported before this job: start in a new process"
            )
        _end_watchers()
        yield nodes


def _end_watchers() -> None:
    """End what works by the clock for nobody, 150 MB in all; Ray has no option that leaves it out."""
    from ray._private import worker

    node = worker._global_node
    node.kill_log_monitor()  # reads the logs of processes, to print them here
    node.kill_monitor()  # scales clusters up and down
    node.kill_dashboard()  # begun though there is to be none


@contextmanager
def joined(address: str) -> Iterator[list[Node]]:
    """A Ray that runs; see `ray_engine`."""
    whole = _whole(address)
    if whole != "auto":
        _knock(whole)
    if any(name in os.environ for name in TOKENS) or (Path.home() / TOKEN_FILE).exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # else Ray does not show the token that it has made
    _ask(whole)
    with _driver(address=whole) as nodes:
        yield nodes


@contextmanager
def _driver(**options: Any) -> Iterator[list[Node]]:
    """Connect as Ray's driver, without a word; what each node has."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    if ray.is_initialized():
        raise InputError("this process is connected to a Ray already: ray.shutdown() first")
    # Ray prints its news of dead workers to stdout, from a thread, whatever `log_to_driver` says.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            ray.init(log_to_driver=False, logging_level="ERROR", **options)
            yield living()
        finally:
            ray.shutdown()


def living() -> list[Node]:
    """What each node has that is there now."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _whole(address: str) -> str:
    host, colon, port = address.partition(":")
    if address != "auto" and not (host and (port.isdecimal() or not colon)):
        raise InputError(
            f"--address {address!r}: expected auto, or HOST[:PORT] of a Ray head whose node this is"
        )
    return address if address == "auto" or colon else f"{host}:{HEAD_PORT}"


def _knock(address: str) -> None:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), KNOCK_S).close()
    except OSError as error:
        raise UnreachableError(
            f"no Ray head answers at {address} ({error}): start one with `ray start --head --port {port}`, "
            "or leave --address out"
        ) from error


def _ask(address: str) -> None:
    """Let a child connect first: where no Ray of our version answers, `ray.init` may wait without end."""
    code = (
        "import sys, ray\n"
        "sys.excepthook = lambda kind, error, trace: sys.stderr.write('\\n' + ' '.join(str(error).split()))\n"
        "ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, address],
            capture_output=True,
            text=True,
            timeout=ANSWER_S,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
        )
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(
            f"what listens at {address} did not answer as a Ray head within {ANSWER_S:g} s: "
            "look at `ray status` there, or leave --address out"
        ) from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UnreachableError(
            f"Ray at {address} does not let this job in: {said[:600]}. Install the same Ray and Python here "
            "and there, bring the head's token (RAY_AUTH_TOKEN_PATH), or leave --address out"
        )
