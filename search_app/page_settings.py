"""What `skyhex app` was told, for the page that it serves: one value, carried by the server's environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from indexer.sql.limits import Limits

DEFAULT_ROWS = 20_000  # of an answer on the page; a file takes as many as there are
_TABLE, _REST = "SKYHEX_TABLE", "SKYHEX_PAGE"


@dataclass(frozen=True)
class PageSettings:
    """The table, what its pictures may be read from beside its own folder, and what SQL may take."""

    table: str = "skyhex-data"  # a directory or a URL
    hosts: tuple[str, ...] = ()  # `host` or `host:port`
    paths: tuple[str, ...] = ()  # folders
    wait_s: float = 10.0  # for one raster of a picture
    ground: str = ""  # a file that the map lies on
    limits: Limits = Limits(rows=DEFAULT_ROWS, flags="sql-")  # noqa: RUF009 - frozen
    device: str = ""  # that compares every row

    def to_environment(self) -> dict[str, str]:
        """Names in it are those of any folder: the server works in one of its own."""
        paths = tuple(str(Path(path).absolute()) for path in self.paths)
        table = self.table if "://" in self.table else str(Path(self.table).absolute())
        ground = self.ground and str(Path(self.ground).absolute())
        return {_TABLE: table, _REST: json.dumps({**asdict(self), "paths": paths, "ground": ground})}


def page_settings(environment: Mapping[str, str] = os.environ) -> PageSettings:
    """As `to_environment` wrote them; the defaults where the page was started by hand."""
    table = environment.get(_TABLE, PageSettings.table)
    if _REST not in environment:
        return PageSettings(table)
    told = json.loads(environment[_REST])
    hosts, paths, limits = tuple(told["hosts"]), tuple(told["paths"]), Limits(**told["limits"])
    return PageSettings(table, hosts, paths, told["wait_s"], told["ground"], limits, told["device"])
