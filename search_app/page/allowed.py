"""What pictures of a table's rows may be read from: its own folder, and what a person allowed.

A table may come from anyone, and its rows name rasters: no host is asked, and no folder looked into, because
a table says so. Flags of `skyhex app` allow both; so does a button, for public hosts and for folders, until
the server ends.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from data.access import REMOTE, Access, host_of, inside_archive, is_private, named_host, plain_href
from data.sample import InputError
from indexer.table.embedding_table import EmbeddingTable

from ..page_settings import page_settings
from .plain import plain
from .quicklook import Subject, is_allowed

MAX_BUTTONS = 3
_granted: dict[str, frozenset[str]] = {}  # by table: hosts, buckets and folders


def access_of(table: EmbeddingTable) -> Access:
    """What the table's pictures may be read from, and how long that may take."""
    settings, root = page_settings(), table.storage.root
    granted = _granted.get(root, frozenset())
    folders = {place for place in granted if place.startswith(os.sep)}
    return Access(
        typed=root,
        hosts=(*settings.hosts, *sorted(granted - folders)),
        paths=(*settings.paths, *sorted(folders), *([settings.ground] if settings.ground else [])),
        wait_s=settings.wait_s,
        tries=2,
        foreign=True,
    )


def whole_href(table: EmbeddingTable, href: str) -> str:
    """A path that does not begin at the root lies in the table's folder."""
    directory = table.storage.directory
    if directory is None or href.startswith(("/vsi", "file:", *REMOTE)):
        return href
    return str(directory.absolute() / href)


def allow(table: EmbeddingTable, place: str) -> None:
    """Read pictures from a host, a bucket or a folder, too."""
    _granted[table.storage.root] = _granted.get(table.storage.root, frozenset()) | {place}


def places_asked(subjects: Sequence[Subject]) -> list[str]:
    """Folders, public hosts and buckets that pictures would be read from, were they allowed."""
    refused = [href for subject in subjects for href in subject.hrefs if not is_allowed(href, subject.access)]
    places = [place for place in map(_place, refused) if place]
    folders = [place for place in places if place.startswith(os.sep)]
    common = [os.path.commonpath(folders)] if folders else []
    hosts = [place for place in places if not place.startswith(os.sep)]
    return [*common, *sorted(set(hosts), key=lambda host: (-hosts.count(host), host))]


def draw_permission(table: EmbeddingTable, subjects: Sequence[Subject]) -> None:
    """A button for each place that pictures would be read from."""
    places = places_asked(subjects)
    if not places:
        return
    st.caption("Pictures of these rows lie where this table alone may not send skyhex:")
    with st.container(horizontal=True, gap="small"):
        for place in places[:MAX_BUTTONS]:
            label = f"Read from {plain(place)}"
            st.button(label, key=f"allow {place}", on_click=allow, args=(table, place))


def _place(href: str) -> str:
    """What a button would allow; empty for an inner address, which takes a flag, and for no address."""
    try:
        href = plain_href(href)
        if href.startswith(("http://", "https://")):
            return "" if is_private(host_of(href)) else named_host(href)
    except InputError:
        return ""
    if href.startswith(REMOTE):
        return named_host(href)
    path = Path(inside_archive(href) or href)
    return str(path.parent) if path.is_absolute() else ""
