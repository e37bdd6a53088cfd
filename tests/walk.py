"""The rooms that one query walks: `python tests/walk.py 05ae2c6 HEAD`.

A search by a cell, in a box and a time, over the table in `indexer/old_table` with an index of the build's
own. Functions stand in the order in which they are first called, which is the order of reading them. A stay
is a run of them in one room; whoever comes back to a room returns to it. A file counts as a room, and then
a folder does.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
OLD = ROOT / "tests/indexer/old_table"


def walk(build: Path) -> list[str]:
    """The files of a build that a query calls, one for each function, in the order of the first calls."""
    sys.path.insert(0, str(build))
    import skyhex

    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(OLD / "table", Path(folder) / "table")
        table = skyhex.EmbeddingTable.open(Path(folder) / "table")
        skyhex.build_index(table)
        cell = json.loads((OLD / "answer.json").read_text())["cell"]
        box, half_year = (5.5, 45.5, 7.5, 47.5), ("2020-06-01", "2020-07-01")
        skyhex.search(table, cell=cell, k=8)  # what is imported at the first search is no step of a walk

        def query() -> None:
            skyhex.search(table, cell=cell, k=8, bbox=box, start=half_year[0], end=half_year[1])

        return [file for file, _ in functions_called(query, build)]


def functions_called(call: Callable[[], None], build: Path) -> dict[tuple[str, int], None]:
    """(file, line) of each function of a build, in the order of the first calls."""
    called: dict[tuple[str, int], None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and build in path.parents and frame.f_code.co_name[0] != "<":
            called.setdefault((path.relative_to(build).as_posix(), frame.f_code.co_firstlineno))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return called


def told(rooms: list[str]) -> str:
    stays = [room for room, _ in groupby(rooms)]
    return f"{len(set(stays)):3} rooms, {len(stays):3} stays, {len(stays) - len(set(stays)):3} returns"


def main(commits: list[str]) -> None:
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            packed = subprocess.run(["git", "archive", commit], capture_output=True, check=True, cwd=ROOT)
            subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
            done = subprocess.run(
                [sys.executable, __file__, "--build", folder], capture_output=True, text=True, check=True
            )
        files = json.loads(done.stdout)
        folders = Counter(str(Path(file).parent) for file in files)
        print(f"{commit}, files:   {told(files)}")
        print(f"{commit}, folders: {told([str(Path(file).parent) for file in files])}")
        print(*(f"  {count:3} functions of {folder}" for folder, count in folders.most_common()), sep="\n")


if __name__ == "__main__":
    if sys.argv[1] == "--build":
        print(json.dumps(walk(Path(sys.argv[2]))))
    else:
        main(sys.argv[1:])
