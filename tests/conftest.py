"""Shared by all tests: where real imagery lies, if it does."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real imagery beside the repository; tests that need it skip where it is not."""
    if not (SHARED / "samples" / "catalog.json").exists():
        pytest.skip("no real imagery: ../shared is not there")
    return SHARED
