"""Where a table lies: a folder of this disk, a bucket, or a server."""

from pathlib import Path

from ..errors import TableError
from .bucket import Bucket
from .bucket_access import is_address, is_served
from .served_files import ServedFiles
from .storage import Storage


def open_storage(place: str | Path, create: bool = False) -> Storage:
    """Files of a table: below a directory, or an address. Raises TableError."""
    if not is_address(place):
        return Storage(place, create)
    if not is_served(str(place)):
        return Bucket(str(place))
    if create:
        raise TableError(f"{place} is served, so it is only read: name a folder or a bucket to write to")
    return ServedFiles(str(place))


def workspace(place: str | Path, folder: str) -> Path:
    """A local folder for what belongs to a table, there or not: beside it, or in the cache."""
    return open_storage(place).workspace(folder) if is_address(place) else Path(place) / folder
