"""What became of processes, as Linux tells it."""

import time
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
WAIT_S = 60


def child_of(process: int, word: str) -> int:
    """The first child of a process in whose command line a word stands, once there is one."""
    tasks = Path(f"/proc/{process}/task")
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for path in tasks.glob("*/children"):
            for child in path.read_text().split():
                if word.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        time.sleep(0.05)
    pytest.fail(f"{process} has no child {word}")


def has_ended(process: int) -> bool:
    """Whether it ends in time: it is gone, or nobody has asked yet how it ended."""
    state = Path(f"/proc/{process}/stat")
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def descendants(process: int) -> dict[int, str]:
    """Its children and theirs, each with its command line."""
    found: dict[int, str] = {}
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            found |= descendants(child)
    return found
