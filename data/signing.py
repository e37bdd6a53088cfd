"""Hooks that sign hrefs: what a provider wants of its readers, got when a file is read and kept nowhere."""

from collections.abc import Callable
from importlib.util import find_spec

from .sample import InputError

Sign = Callable[
    [str], str
]  # unsigned href -> signed; a function of a module, so that worker processes find it


def signer(name: str) -> Sign | None:
    """The hook of a name: "planetary-computer" or "none". Raises InputError where it is not there."""
    if name == "none":
        return None
    if name != "planetary-computer":
        raise InputError(f"--sign {name!r}; expected planetary-computer or none")
    if find_spec("planetary_computer") is None:
        raise InputError("--sign planetary-computer needs its package: pip install planetary-computer")
    return sign_planetary_computer


def sign_planetary_computer(href: str) -> str:
    """An address of Planetary Computer's storage with a token of under an hour; others as they are."""
    import planetary_computer

    return str(planetary_computer.sign_url(href))
