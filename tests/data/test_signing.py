"""The hooks that sign hrefs, by name."""

import sys
from types import ModuleType

import pytest

from data import signing
from data.sample import InputError
from data.signing import signer


def test_a_hook_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert signer("none") is None
    with pytest.raises(InputError, match="expected planetary-computer or none"):
        signer("planetary")
    monkeypatch.setattr(signing, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install planetary-computer"):
        signer("planetary-computer")


def test_planetary_computer_signs_by_its_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("planetary_computer")
    package.sign_url = lambda href: f"{href}?sig=1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "planetary_computer", package)
    monkeypatch.setattr(signing, "find_spec", lambda name: package)
    sign = signer("planetary-computer")
    assert sign is not None
    assert sign("https://example.org/a.tif") == "https://example.org/a.tif?sig=1"
