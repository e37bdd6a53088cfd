"""Names of land cover in several legends -> one common, coarser legend, so that places can be compared.

A name that is not here stays as it is; a name that maps to None is no label.
"""

COMMON: dict[str, str | None] = {
    "": None,
    "no data": None,
    "clouds": None,
    "no cropland (unspecified)": None,
    "water": "water",
    "trees": "trees",
    "forest": "trees",
    "tree cover": "trees",
    "flooded vegetation": "wetland",
    "crops": "crops",
    "cropland": "crops",
    "temporary crops": "crops",
    "cultivated land": "crops",
    "built area": "built",
    "built-up": "built",
    "artificial surface": "built",
    "bare ground": "bare",
    "snow or ice": "snow",
    "rangeland": "grass or shrub",
    "grassland": "grass or shrub",
    "shrubland": "grass or shrub",
}


def common_name(name: str) -> str | None:
    """The common legend's name of a class; None where it is no label."""
    return COMMON.get(name.strip().lower(), name.strip().lower())
