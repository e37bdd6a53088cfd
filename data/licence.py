"""Under which terms an item's imagery stands, and whom they ask to name."""

import pystac

COPERNICUS = "contains modified Copernicus Sentinel data {year}"  # Regulation (EU) 1159/2013, article 8
NOT_TOLD = "not told"
NAMED_ROLES = {"licensor", "producer"}


def licence_of(item: pystac.Item) -> str:
    """The item's `license`, which its collection's stands in for, else its licence link, else `NOT_TOLD`."""
    links = [f"other ({link.href})" for link in item.links if link.rel == "license"]
    said = [item.properties.get("license"), *links]
    return next((str(text) for text in said if text), NOT_TOLD)


def attribution_of(item: pystac.Item, modality: str, year: int | None) -> tuple[str, ...]:
    """Licensors and producers, and of Sentinel imagery the notice that the Copernicus terms ask for."""
    providers = item.properties.get("providers") or []
    known = [provider for provider in providers if isinstance(provider, dict) and provider.get("name")]
    named = [str(p["name"]) for p in known if NAMED_ROLES & set(p.get("roles") or ())]
    is_sentinel = modality != "hr" and not item.properties.get("simulated")
    notice = [COPERNICUS.format(year=year or "").strip()] if is_sentinel else []
    return tuple(dict.fromkeys([*notice, *named]))
