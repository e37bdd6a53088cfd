"""A process of the scorecard that is killed, or that writes beside others."""

import sys
from pathlib import Path

from .store import work, write

if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        path, first, point, times, seed = sys.argv[1:]
        work(Path(path), int(first), point, int(times), int(seed))
