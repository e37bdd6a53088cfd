"""A STAC item beside the table: what a catalog needs to know of its newest snapshot.

It is made from the manifest alone, written whole after each commit, and names the snapshot that it is of: if
a writer dies in between, the item is older than the table and says so. The `emb:` fields are those that
version 0.0.1 of the embedding extension (geoembeddings.org) has for items; `type` and `dimensions`, which it
knows of collections alone, are among the runtime parameters. That version builds on STAC 1.0.0.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import shapely

from ..errors import TableError
from .manifest import Manifest, manifest_path, read_manifest, snapshot_numbers
from .schema import emb_metadata
from .storage import Storage
from .terms import shared

ITEM = "item.json"
EXTENSIONS = [
    "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json",
    "https://stac-extensions.github.io/table/v1.2.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/version/v1.2.0/schema.json",
]
PARQUET, JSON = "application/vnd.apache.parquet", "application/json"
SHA256_MULTIHASH = "1220"  # the file extension's checksums say which digest they are, and of how many bytes


def write_item(storage: Storage, manifest: Manifest) -> None:
    """Write the item of a snapshot that was just committed, or of a newer one if there is one by now.

    The last of several writers to get here finds the newest snapshot, so the item ends up as that one's. A
    disk that refuses leaves the older item: the commit stands.
    """
    with suppress(TableError):
        while manifest.extent is not None:
            storage.put(ITEM, json.dumps(stac_item(storage, manifest), indent=1).encode(), flush=False)
            if snapshot_numbers(storage)[-1] == manifest.snapshot:
                return
            manifest = read_manifest(storage)


def stac_item(storage: Storage, manifest: Manifest) -> dict[str, Any]:
    """The item of a snapshot that has rows; hrefs are relative to it."""
    assert manifest.extent is not None, "an empty table is nowhere"
    emb = emb_metadata(manifest.model, manifest.values, manifest.simulated)
    described = ("type", "dimensions", "chip_layout", "normalisation", "weights", "simulated", "model")
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": EXTENSIONS,
        "id": storage.name,
        "bbox": manifest.extent.bbox,
        "geometry": shapely.geometry.mapping(shapely.box(*manifest.extent.bbox)),
        "properties": {
            "datetime": None,
            "start_datetime": _zulu(manifest.extent.start),
            "end_datetime": _zulu(manifest.extent.end),
            "updated": _zulu(manifest.committed),
            "version": str(manifest.snapshot),
            "license": licence_of(manifest),
            **terms_fields(manifest),
            "data_type": emb["data_type"],
            "emb:runtime_parameters": {name: emb[name] for name in described}
            | {"h3_resolution": manifest.h3_resolution},
            **({"emb:quantization": emb["quantization"]} if "quantization" in emb else {}),
            "emb:postprocessing": {
                "format": "text",
                "expression": f"embedding / L2 norm, as {manifest.values}",
            },
            "table:columns": _columns(manifest),
            "table:primary_geometry": "geometry",
            "table:row_count": manifest.row_count,
        },
        "assets": _assets(manifest),
        "links": [],
    }


def _assets(manifest: Manifest) -> dict[str, Any]:
    """The manifest, which the extension's name for the data leads to, each part, and each sidecar file."""
    assets = {
        "embeddings": {
            "href": f"./{manifest_path(manifest.snapshot)}",
            "type": JSON,
            "roles": ["metadata"],
            "title": "The manifest of this snapshot: its `files` are the embeddings",
        }
    }
    for file in manifest.files:
        assets[file.path] = _parquet(file.path, file.sha256, "data") | {"file:size": file.bytes}
    for sidecar in manifest.sidecars.values():
        assets |= {file.path: _parquet(file.path, file.sha256, "metadata") for file in sidecar.files}
    return assets


def _parquet(path: str, sha256: str, role: str) -> dict[str, Any]:
    return {
        "href": f"./{path}",
        "type": PARQUET,
        "roles": [role],
        "file:checksum": SHA256_MULTIHASH + sha256,
    }


def _columns(manifest: Manifest) -> list[dict[str, str]]:
    columns = manifest.schema
    return [{"name": column.name, "type": str(column.type).replace("element: ", "")} for column in columns]


def licence_of(manifest: Manifest) -> str:
    """What holds for all rows, of the model, what was imported and the imagery."""
    of_imagery = [source.licence for source in manifest.imagery]
    return shared([manifest.model.licence, *(one.licence for one in manifest.terms), *of_imagery])


def terms_fields(manifest: Manifest) -> dict[str, Any]:
    """Licences and attribution one by one, where there is more than the model's."""
    imported = [
        {"license": one.licence, "attribution": list(one.attribution), "sources": list(one.sources)}
        for one in manifest.terms
    ]
    return ({"skyhex:terms": imported} if imported else {}) | _imagery_terms(manifest)


def _imagery_terms(manifest: Manifest) -> dict[str, Any]:
    if not manifest.imagery:
        return {}
    imagery = [
        {"collection": s.collection, "license": s.licence, "attribution": list(s.attribution)}
        for s in manifest.imagery
    ]
    return {"skyhex:model_license": manifest.model.licence, "skyhex:imagery": imagery}


def _zulu(moment: str) -> str:
    return moment.replace("+00:00", "Z")
