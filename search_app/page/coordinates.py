"""Longitude and latitude in every usual writing: decimal or in minutes, with letters or without, or links."""

import re
from dataclasses import dataclass

from indexer.errors import QueryError

NUMBER = r"[-+−]?\d+(?:[.,]\d+)?"
# 52°05'24.0"N, 52 05 24 N, N52.09, 52.09° N, -52.09
ANGLE = re.compile(
    rf"(?P<before>[NSEW])?\s*(?P<deg>{NUMBER})\s*(?:°|deg|d(?![a-z]))?\s*"
    r"(?:(?P<min>\d+(?:[.,]\d+)?)\s*(?:'|′|’|m(?![a-z]))\s*)?"
    r"(?:(?P<sec>\d+(?:[.,]\d+)?)\s*(?:\"|″|”|''|s(?![a-z])))?\s*(?P<after>[NSEW](?![a-z]))?",
    re.IGNORECASE,
)
SPACED = re.compile(  # 52 05 24 N: with a letter, minutes and seconds need no signs of their own
    r"(?P<deg>\d+)[\s:]+(?P<min>\d+(?:[.,]\d+)?)(?:[\s:]+(?P<sec>\d+(?:[.,]\d+)?))?\s*(?P<after>[NSEW])",
    re.IGNORECASE,
)
MOST_LETTERS = 300  # of a text that may be a place
PLAIN = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*[,;\s]\s*(-?\d+(?:\.\d+)?)\s*")
NORTH_SOUTH = ("N", "S")
LATITUDE_FIRST = (
    re.compile(r"#(?:map=)?\d+(?:\.\d+)?/(-?\d+\.\d+)/(-?\d+\.\d+)"),  # OpenStreetMap: zoom/lat/lon
    re.compile(r"^geo:\s*(-?\d+(?:\.\d+)?)[,\s]+(-?\d+(?:\.\d+)?)", re.IGNORECASE),
    re.compile(r"[@=](-?\d+\.\d+),(-?\d+\.\d+)"),
)


@dataclass(frozen=True)
class LonLatText:
    """A place that was typed."""

    lon_deg: float
    lat_deg: float
    note: str = ""  # how it was read, where that is not as it came
    sure: bool = False  # whether letters or the form say which is which


def parse_lonlat(text: str) -> LonLatText | None:
    """The place that a text names by two angles; None where it has not two of them.

    Two bare numbers are longitude and latitude, in the order of x and y; swapped where only that can be.

    Raises:
        QueryError: two angles that are no place on Earth.
    """
    if len(text) > MOST_LETTERS:
        return None
    for form in LATITUDE_FIRST:
        match = form.search(text)
        if match:
            return _checked(float(match[2]), float(match[1]), sure=True)
    plain = PLAIN.fullmatch(text)
    angles = [(float(plain[1]), ""), (float(plain[2]), "")] if plain else _angles(text)
    if angles is None:
        return None
    (first, letter), (second, other) = angles
    if letter and other and (letter in NORTH_SOUTH) == (other in NORTH_SOUTH):
        raise QueryError(f"{text.strip()!r} has two of one kind: expected a longitude and a latitude")
    if letter in NORTH_SOUTH or (other and other not in NORTH_SOUTH):
        return _checked(second, first, sure=True)
    if letter or other:
        return _checked(first, second, sure=True)
    if abs(second) > 90 and abs(first) <= 90:
        place = _checked(second, first, sure=True)
        return LonLatText(
            place.lon_deg, place.lat_deg, f"read as latitude {first:g}, longitude {second:g}", True
        )
    return _checked(first, second, sure=False)


def _angles(text: str) -> list[tuple[float, str]] | None:
    """Two angles in degrees, each with its letter; None where the text is anything else."""
    body = re.sub(r"^\s*(?:POINT\s*)?[(\[]\s*|\s*[)\]]\s*$", "", text.strip(), flags=re.IGNORECASE)
    body = re.sub(r"\blat(?:itude)?\b\s*[:=]?", "N", body, flags=re.IGNORECASE)
    body = re.sub(r"\b(?:lon(?:gitude)?|lng)\b\s*[:=]?", "E", body, flags=re.IGNORECASE)
    for form in (SPACED, ANGLE):
        matches = list(form.finditer(body))
        rest = form.sub("", body)
        if len(matches) == 2 and not re.sub(r"[\s,;/|]+", "", rest):
            return [_angle(match) for match in matches]
    return None


def _angle(match: re.Match[str]) -> tuple[float, str]:
    parts = match.groupdict()
    letter = (parts.get("before") or parts["after"] or "").upper()
    whole = _number(parts["deg"])
    size = abs(whole) + _number(parts["min"] or "0") / 60 + _number(parts["sec"] or "0") / 3600
    negative = letter in ("S", "W") or parts["deg"].startswith(("-", "−"))
    return (-size if negative else size), letter


def _number(text: str) -> float:
    return float(text.replace(",", ".").replace("−", "-"))


def _checked(lon_deg: float, lat_deg: float, sure: bool) -> LonLatText:
    if not (abs(lon_deg) <= 180 and abs(lat_deg) <= 90):
        raise QueryError(
            f"longitude {lon_deg:g}, latitude {lat_deg:g} is no place: expected -180 to 180, then -90 to 90"
        )
    return LonLatText(lon_deg, lat_deg, sure=sure)
