"""Text of others on the page: shown as it is, never read as Streamlit's markup."""

import re

MARKUP = r"(?P<markup>[\\`*_\[\](){}<>#!|$:~&])"
# Addresses are made links, `->` an arrow, `:material/home:` a picture, whatever is escaped in them, unless
# they are in two parts.
TOGETHER = r"(?P<part>(?<=http)s(?=://)|(?<=htt)p(?=://)|(?<=ww)w(?=\.)|@|(?<=[-<>~])[-=>]|(?<=:)[a-z])"
EITHER = re.compile(f"{TOGETHER}|{MARKUP}", re.IGNORECASE)
BEGINS_LINE = re.compile(r"^(\d*)([-+.])")  # a list, a rule


def plain(text: object) -> str:
    """Names, paths, places of a link and errors that hold them: a picture named in one would be fetched."""
    escaped = EITHER.sub(_escaped, " ".join(str(text).split()))
    return BEGINS_LINE.sub(r"\1\\\2", escaped)


def _escaped(match: re.Match[str]) -> str:
    if match["markup"]:
        return f"\\{match[0]}"
    return f":color[{match[0].replace('>', '&gt;')}]"  # Streamlit's directive, here of no colour
