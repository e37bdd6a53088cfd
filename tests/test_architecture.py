"""The arrows of docs/architecture.md, held."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "data": {"torch", "faiss", "duckdb", "streamlit", "encoder", "indexer", "search_app", "skyhex"},
    "encoder": {"faiss", "duckdb", "streamlit", "indexer", "search_app", "skyhex"},
    "indexer": {"torch", "rasterio", "streamlit", "data", "encoder", "search_app", "skyhex"},
}
MODEL_MODULES = (
    "config", "swin_v2", "vit", "common_grid", "date_encoding", "temporal_fusion", "geo_context", "skysense",
)  # fmt: skip


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, absolutely."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_arrows_run_left_to_right(package: str) -> None:
    files = files_of(package)
    assert len(files) > 2
    for path in files:
        assert not imported(path) & FORBIDDEN[package], f"{path.name} imports against the road"


@pytest.mark.parametrize("package", ["data", "encoder", "indexer", "search_app"])
def test_imports_inside_a_package_are_relative(package: str) -> None:
    scripts = {"streamlit_app.py"}  # Streamlit runs it by path, outside any package
    for path in files_of(package):
        assert path.name in scripts or package not in imported(path), (
            f"{path} imports its own package by its absolute name"
        )


@pytest.mark.parametrize("module", MODEL_MODULES)
def test_the_model_needs_torch_and_numpy_alone(module: str) -> None:
    allowed = {"torch", "numpy"} | sys.stdlib_module_names
    assert imported(ROOT / "encoder" / f"{module}.py") <= allowed


def test_importing_the_facade_loads_nothing() -> None:
    code = (
        "import skyhex, sys; print([m for m in ('torch', 'faiss', 'duckdb', 'rasterio') if m in sys.modules])"
    )
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


def test_unknown_names_of_the_facade_are_attribute_errors() -> None:
    import skyhex

    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        skyhex.no_such  # noqa: B018
