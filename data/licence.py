"""Under which terms an item's imagery stands, and whom they ask to name."""

from collections.abc import Mapping
from typing import Any

import pystac

COPERNICUS = "contains modified Copernicus Sentinel data {year}"  # Regulation (EU) 1159/2013, article 8
NOT_TOLD = "not told"
NAMED_ROLES = {"licensor", "producer"}

Collection = Mapping[str, Any]  # its document, or as much of it


def collection_at_hand(item: pystac.Item) -> Collection:
    """Licence and providers of the collection that an item was reached through; empty where it was not."""
    for link in item.links:
        if link.rel in ("collection", "parent") and isinstance(link.target, pystac.Collection):
            providers = [provider.to_dict() for provider in link.target.providers or []]
            return {"license": link.target.license, "providers": providers}
    return {}


def licence_of(item: pystac.Item, collection: Collection) -> str:
    """The item's `license`, else its collection's, else its licence link, else `NOT_TOLD`."""
    links = [f"other ({link.href})" for link in item.links if link.rel == "license"]
    said = [item.properties.get("license"), collection.get("license"), *links]
    return next((str(text) for text in said if text), NOT_TOLD)


def attribution_of(
    item: pystac.Item, collection: Collection, modality: str, year: int | None
) -> tuple[str, ...]:
    """Licensors and producers, and of Sentinel imagery the notice that the Copernicus terms ask for."""
    providers = item.properties.get("providers") or collection.get("providers") or []
    known = [provider for provider in providers if isinstance(provider, dict) and provider.get("name")]
    named = [str(p["name"]) for p in known if NAMED_ROLES & set(p.get("roles") or ())]
    is_sentinel = modality != "hr" and not item.properties.get("simulated")
    notice = [COPERNICUS.format(year=year or "").strip()] if is_sentinel else []
    return tuple(dict.fromkeys([*notice, *named]))
