"""The arrows of docs/architecture.md, held."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INDEXER = tuple(
    f"indexer/{room}"
    for room in ("geo", "table", "index", "prototypes", "sql", "alignment", "search", "labels", "overview")
)
PIPELINE = ("pipeline", "pipeline/on_device")
MAY_IMPORT: dict[str, tuple[str, ...]] = {  # a room a line: the rooms it may import from, and no others
    "data": (),
    "encoder": ("data",),
    "encoder/training": ("data", "encoder"),
    "indexer": (),
    "indexer/geo": ("indexer",),
    "indexer/table": ("indexer", "indexer/geo"),
    "indexer/index": ("indexer", "indexer/geo", "indexer/table"),
    "indexer/prototypes": ("indexer", "indexer/geo", "indexer/table"),
    "indexer/sql": ("indexer", "indexer/geo", "indexer/table", "indexer/prototypes"),
    "indexer/alignment": ("indexer", "indexer/geo", "indexer/table"),
    "indexer/overview": ("indexer", "indexer/geo", "indexer/table"),
    "indexer/search": ("indexer", *INDEXER[:6]),
    "indexer/labels": ("indexer", *INDEXER[:7]),
    "pipeline": ("data", "encoder", "indexer", *INDEXER),
    "pipeline/on_device": ("indexer", "indexer/geo", "indexer/index"),
    "experiments": ("data", "encoder", "encoder/training", "indexer", *INDEXER, "pipeline"),
    "search_app": ("indexer", *INDEXER),
    "search_app/cli": ("data", "encoder", "indexer", *INDEXER, *PIPELINE, "experiments", "search_app"),
    "search_app/serve": ("data", "encoder", "indexer", *INDEXER, *PIPELINE, "search_app"),
    "search_app/page": ("data", "encoder", "indexer", *INDEXER, *PIPELINE, "search_app"),
}
UNKNOWN = {  # what a folder does not know of the packages of others
    "data": {"torch", "faiss", "duckdb", "streamlit"},
    "encoder": {"faiss", "duckdb", "streamlit"},
    "indexer": {"torch", "rasterio", "streamlit"},
    "pipeline": {"streamlit", "typer", "rich"},
}
PACKAGES = ("data", "encoder", "experiments", "indexer", "pipeline", "search_app")
MODEL_MODULES = (
    "config", "swin_v2", "vit", "common_grid", "date_encoding", "temporal_fusion", "geo_context",
    "precision", "linear", "pieces", "transformer", "skysense", "colour_texture", "geometry", "season",
)  # fmt: skip


def imported(path: Path) -> set[str]:
    """Modules that a file imports, whole names; what is imported from a package may be one, too."""
    names: set[str] = set()
    package = list(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def top(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def ours(path: Path) -> set[Path]:
    """Files of ours that a file imports, for type checking or not."""
    places = (ROOT / name.replace(".", "/") for name in imported(path) if name.split(".")[0] in PACKAGES)
    found = {place.with_suffix(".py") for place in places}
    return {place for place in found if place.is_file() and place != path}


def room_of(path: Path) -> str:
    """The innermost folder that MAY_IMPORT names."""
    folders = [folder.relative_to(ROOT).as_posix() for folder in path.parents if ROOT in folder.parents]
    return next(folder for folder in folders if folder in MAY_IMPORT)


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_run_left_to_right(package: str) -> None:
    files = files_of(package)
    assert len(files) > 2
    for path in files:
        may = {room_of(path), *MAY_IMPORT[room_of(path)]}
        for other in ours(path):
            assert room_of(other) in may, f"{path.relative_to(ROOT)} imports {other.relative_to(ROOT)}"


@pytest.mark.parametrize("package", UNKNOWN)
def test_what_a_folder_does_not_know(package: str) -> None:
    for path in files_of(package):
        assert not top(imported(path)) & UNKNOWN[package], f"{path.relative_to(ROOT)}"


def test_ray_is_known_in_one_folder() -> None:
    knowing = {
        path.parent.relative_to(ROOT).as_posix() for path in _every_file() if "ray" in top(imported(path))
    }
    assert knowing == {"pipeline/on_ray"}


def _every_file() -> list[Path]:
    return [ROOT / "skyhex.py", *(path for package in PACKAGES for path in files_of(package))]


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {path: ours(path) for package in PACKAGES for path in files_of(package)}
    assert sum(map(len, graph.values())) > 400
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, naming the circle


def test_the_faces_are_found_by_no_one() -> None:
    for path in [ROOT / "skyhex.py", *(path for package in PACKAGES[:5] for path in files_of(package))]:
        assert "search_app" not in top(imported(path)), path


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_inside_a_package_are_relative(package: str) -> None:
    scripts = {"serve.py", "streamlit_app.py"}  # Streamlit runs them by path, outside any package
    for path in files_of(package):
        absolute = {
            (node.module or "").split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.level == 0
        }
        assert path.name in scripts or package not in absolute, f"{path} imports its own package by its name"


def test_a_table_is_opened_wherever_it_lies() -> None:
    """Whoever makes a `Storage` takes an address for a folder; `open_storage` knows."""
    for path in (path for package in PACKAGES for path in files_of(package)):
        assert path.name == "open_storage.py" or not re.search(r"(?<![\w.])Storage\(", _code(path)), path


def _code(path: Path) -> str:
    return re.sub(r"class \w+\(Storage\)", "", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODEL_MODULES)
def test_the_model_needs_torch_and_numpy_alone(module: str) -> None:
    path = ROOT / "encoder" / f"{module}.py"
    assert top(imported(path)) <= {"torch", "numpy", "encoder"} | sys.stdlib_module_names
    assert {other.stem for other in ours(path)} <= set(MODEL_MODULES) | {"batch"}


def test_a_machine_with_torch_and_numpy_alone_can_scan() -> None:
    path = ROOT / "pipeline/on_device/scan.py"
    for one in (path, *ours(path)):
        assert top(imported(one)) <= {"torch", "numpy", "indexer"} | sys.stdlib_module_names
    assert {other.stem for other in ours(path)} == {"row_ranges", "errors"}


@pytest.mark.parametrize(
    "module", ["skyhex", "search_app.cli.main", "search_app.serve.__main__", "pipeline.on_ray.start"]
)
def test_what_people_start_loads_little_before_it_is_asked(module: str) -> None:
    heavy = ("torch", "faiss", "duckdb", "rasterio")
    code = f"import {module}, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_stray_data_module_is_named(tmp_path: Path) -> None:
    stray = tmp_path / "data.py"
    stray.write_text("")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import skyhex; skyhex.read_catalog"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError")
    assert str(stray) in last
    assert str(ROOT / "data" / "__init__.py") in last
    assert "Rename" in last


def test_questions_are_answered_by_files_that_are_there() -> None:
    told = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("## Where things are")[1]
    first, others, *_ = told.split("| question | files |\n|---|---|\n")[1:]
    ten = _answers(first)
    assert len(ten) == 10
    assert all(len(files) <= 2 for files in ten), "two files to open, at most"
    for files in ten + _answers(others):
        for file, names in files:
            text = (ROOT / file).read_text(encoding="utf-8")
            assert all(f"def {name}(" in text for name in names), f"{file} has not all of {names}"


def _answers(table: str) -> list[list[tuple[str, list[str]]]]:
    """Of each row the files it names, each with the functions in brackets after it."""
    rows = [row for row in table.split("\n\n")[0].splitlines() if row.startswith("| ")]
    told = [re.findall(r"`([\w/]+\.py)`(?: \(([^)]+)\))?", row) for row in rows]
    return [[(file, re.findall(r"\w+", names)) for file, names in row] for row in told]


def test_unknown_names_of_the_facade_are_attribute_errors() -> None:
    import skyhex

    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        skyhex.no_such  # noqa: B018
