"""Text of others on a terminal: shown as it is, never read as markup, and without power over the terminal."""

import unicodedata

from rich.text import Text

KEPT = {"\n", "\t"}
POWERS = {"Cc", "Cf"}  # control sequences, and what turns the direction of writing


def visible(text: object) -> str:
    """Names, paths, notes and errors, their control and formatting characters spelled out: `\\x1b`."""
    return "".join(_spelled(character) for character in str(text))


def shown(text: object, style: str = "") -> Text:
    """The same for Rich: brackets and colons mean themselves."""
    return Text(visible(text), style)


def _spelled(character: str) -> str:
    if character in KEPT or unicodedata.category(character) not in POWERS:
        return character
    return character.encode("unicode_escape").decode()
