"""The wheel holds every file that the packages need: an editable install would hide one that is missing."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("data", "encoder", "experiments", "indexer", "pipeline", "search_app")
NOT_INSTALLED = {".md", ".json", ".ts"}  # beside code that is not read at run time, but for those below
READ = ("weights/README.md", "land.json")
MAP = "search_app/page/map/"  # its source and what builds it; a browser reads what was built
BUILT = MAP + "dist/"


def tracked(*under: str) -> list[str]:
    """Files that git knows."""
    listed = subprocess.run(["git", "ls-files", *under], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\n") if (ROOT / name).is_file()]


def is_read(name: str) -> bool:
    """Whether code reads a file of the packages at run time."""
    if name.startswith(MAP):
        return name.startswith(BUILT)
    return Path(name).suffix not in NOT_INSTALLED or name.endswith(READ)


def test_every_file_is_in_the_wheel(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("the tree is no git checkout, so which files belong to it is not known")
    for name in tracked(*PACKAGES, "skyhex.py", "pyproject.toml", "README.md", "LICENSE"):
        copy = tmp_path / "tree" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([*build, str(tmp_path), str(tmp_path / "tree")], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    wanted = {name for name in tracked(*PACKAGES) if is_read(name)}
    assert len(wanted) > 200
    assert wanted - inside == set()
    assert "skyhex.py" in inside
    assert not {name.split("/")[0] for name in inside} & {"tests", "benchmarks", "docs", "findings"}
