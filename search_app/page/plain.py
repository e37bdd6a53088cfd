"""Text of others on the page: shown as it is, never read as Streamlit's markup."""

import re

MARKUP = re.compile(r"([\\`*_\[\](){}<>#!|$:~&])")


def plain(text: object) -> str:
    """Names, paths, places of a link and errors that hold them: a picture named in one would be fetched."""
    return MARKUP.sub(r"\\\1", " ".join(str(text).split()))
