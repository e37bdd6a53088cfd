"""GDAL's virtual rasters: a user's own opens, when all it refers to may be read.

It is handed to GDAL rewritten: local sources by their whole path, after a look at what they are, and sources
elsewhere as files of ours, so that the rule that holds for a raster holds for those that it is made of.
"""

from pathlib import Path
from xml.etree import ElementTree

from .access import REMOTE, Access, UnreachableError, plain_href, whole_path
from .gdal_files import RangeFile, TextFile
from .remote import RemoteFile
from .sample import InputError

MAX_BYTES = 2**24
MAX_SOURCES = 20_000
MAX_DEPTH = 4  # of virtual rasters in virtual rasters
_SOURCES = ("SourceFilename", "SourceDataset")
# What runs code, or names files in ways of its own.
_REFUSED = {
    "GeoLocTransformer",
    "PixelFunctionCode",
    "PixelFunctionType",
    "DEMPath",
    "PansharpeningOptions",
    "Input",
    "ProcessingSteps",
    "RPCTransformer",
    "Group",
    "OpenOptions",
}
_DATASETS = (None, "VRTWarpedDataset")
_BANDS = (None, "VRTSourcedRasterBand", "VRTWarpedRasterBand")
_MAGIC = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\0\0\0\x0cjP  ": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
}


def driver_of(href: str, head: bytes) -> str:
    """The GDAL driver for a file that begins with `head`. Raises InputError for other formats than two."""
    for magic, driver in _MAGIC.items():
        if head.startswith(magic):
            return driver
    raise InputError(f"{href} is not a raster that can be read; expected a GeoTIFF or JPEG 2000")


def is_vrt(path: str, head: bytes) -> bool:
    """Whether a local file is a virtual raster, by its name and how it begins."""
    return path.lower().endswith(".vrt") and head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")


def vrt_files(path: str, access: Access) -> dict[str, RangeFile]:
    """A local virtual raster as `image`, and the files that it names.

    Raises InputError when one is missing or no raster, or when it does more than place other rasters;
    UnreachableError when one may not be read, or lies on a host that does not answer.
    """
    files: dict[str, RangeFile] = {}
    _add(path, "image", files, access, depth=1)
    return files


def _add(path: str, name: str, files: dict[str, RangeFile], access: Access, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InputError(f"{path} lies more than {MAX_DEPTH} virtual rasters deep, or in a circle")
    root = _parsed(path)
    names: dict[str, str] = {}
    for element in root.iter():
        _check(path, element)
        if element.tag in _SOURCES:
            href = _source(path, element)
            if href not in names:
                names[href] = _add_source(href, files, access, depth)
            element.text = names[href]
            element.set("relativeToVRT", "0" if Path(names[href]).is_absolute() else "1")
    files[name] = TextFile(ElementTree.tostring(root))


def _add_source(href: str, files: dict[str, RangeFile], access: Access, depth: int) -> str:
    """The name under which GDAL finds a source."""
    try:
        access.check(href)
    except InputError as error:  # no fact: allowed, the same command reads it
        raise UnreachableError(f"a virtual raster's source is not read: {error}") from error
    if len(files) >= MAX_SOURCES:
        raise InputError(f"a virtual raster of more than {MAX_SOURCES:,} files; make several")
    name = f"source{len(files)}"
    if href.startswith(REMOTE):
        file = RemoteFile(href, access)
        driver_of(href, file.head)
        files[name] = file
        return name
    head = read_head(href)
    if not is_vrt(href, head):
        driver_of(href, head)
        return whole_path(href)
    files[name] = TextFile(b"")  # its place, until it is read
    _add(href, name, files, access, depth + 1)
    return name


def read_head(path: str) -> bytes:
    """How a local file begins. Raises InputError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(256)
    except OSError as error:
        raise InputError(f"no such raster: {path} ({error.strerror})") from error


def _check(path: str, element: ElementTree.Element) -> None:
    kinds = {"VRTDataset": _DATASETS, "VRTRasterBand": _BANDS}.get(element.tag)
    if element.tag in _REFUSED or (kinds and element.get("subClass") not in kinds):
        raise InputError(
            f"{path} is a virtual raster that does more than place other rasters; it is not read"
        )


def _source(path: str, element: ElementTree.Element) -> str:
    name = (element.text or "").strip()
    href = plain_href(name)
    if href.startswith(REMOTE) or Path(href).is_absolute():
        return href
    if ":" in href or href.startswith("<"):
        raise InputError(f"{path} names a source that is no path or address: {href[:60]}")
    relative = element.get("relativeToVRT") == "1"
    return whole_path(Path(whole_path(path)).parent / href if relative else href)


def _parsed(path: str) -> ElementTree.Element:
    text = Path(path).read_bytes() if Path(path).stat().st_size <= MAX_BYTES else b""
    if not text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(
            f"{path} is no virtual raster as GDAL writes them: of {MAX_BYTES / 1e6:.0f} MB at most, without"
            " entities"
        )
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is no virtual raster: {error}") from error
