"""What `skyhex app` was told, for the page that it serves: one value, carried by the server's environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path, PurePosixPath

from indexer.errors import TableError
from indexer.sql.limits import Limits

DEFAULT_ROWS = 20_000  # of an answer on the page; a file takes as many as there are
TABLE, _REST = "SKYHEX_TABLE", "SKYHEX_PAGE"


@dataclass(frozen=True)
class PageSettings:
    """The tables, what pictures may be read from beside their own folders, and what SQL may take."""

    tables: tuple[str, ...] = ("skyhex-data",)  # directories or URLs; the first is shown at first
    hosts: tuple[str, ...] = ()  # `host` or `host:port`
    paths: tuple[str, ...] = ()  # folders
    wait_s: float = 10.0  # for one raster of a picture
    ground: str = ""  # a file that the map lies on
    limits: Limits = Limits(rows=DEFAULT_ROWS, flags="sql-")  # noqa: RUF009 - frozen
    device: str = ""  # that compares every row

    @property
    def named(self) -> dict[str, str]:
        """Each table by its folder's name, all that a link tells of it; a number parts those of one name."""
        named: dict[str, str] = {}
        for table in dict.fromkeys(self.tables):
            name = PurePosixPath(table).name or table
            tried = chain([name], (f"{name}-{number}" for number in count(2)))
            named[next(one for one in tried if one not in named)] = table
        return named

    def find(self, name: str) -> str:
        """The table of a name; the first for no name. Raises `TableError`."""
        named = self.named
        if name and name not in named:
            raise TableError(
                f"this page was not started with a table {name!r}, but with {', '.join(named)}: "
                "`skyhex app` takes -t once for each"
            )
        return named[name] if name else self.tables[0]

    def to_environment(self) -> dict[str, str]:
        """Names in it are those of any folder: the server works in one of its own."""
        paths = tuple(str(Path(path).absolute()) for path in self.paths)
        tables = tuple(table if "://" in table else str(Path(table).absolute()) for table in self.tables)
        ground = self.ground and str(Path(self.ground).absolute())
        return {_REST: json.dumps({**asdict(self), "tables": tables, "paths": paths, "ground": ground})}


def page_settings(environment: Mapping[str, str] = os.environ) -> PageSettings:
    """As `to_environment` wrote them; the defaults where the page was started by hand."""
    if _REST not in environment:
        return PageSettings((environment[TABLE],)) if TABLE in environment else PageSettings()
    told = json.loads(environment[_REST])
    hosts, paths, limits = tuple(told["hosts"]), tuple(told["paths"]), Limits(**told["limits"])
    tables, device = tuple(told["tables"]), told["device"]
    return PageSettings(tables, hosts, paths, told["wait_s"], told["ground"], limits, device)
