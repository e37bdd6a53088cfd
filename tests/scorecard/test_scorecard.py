"""The short form of the scorecard: a few trials of each test, none bad."""

from pathlib import Path

import pytest

from .tests import TESTS
from .trials import Trial, score

SHORT = [trial for trial in TESTS if trial.short]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trial", SHORT, ids=[trial.name for trial in SHORT])
def test_none_is_bad(trial: Trial, tmp_path: Path) -> None:
    found = score(trial, 0, tmp_path, None)
    assert found.tried == trial.short
    assert found.bad == []
