"""How many cores there are for this process."""

import os


def cores() -> int:
    """That it may use; a container or `taskset` may leave it few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
