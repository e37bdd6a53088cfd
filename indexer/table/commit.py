"""How a snapshot comes to be: a manifest is put under the next number, and whoever finds it taken plans anew.

Of writers at the same moment one commits first; the others build on the new snapshot and retry, so nothing is
lost or doubled. A writer that dies leaves at most files that no manifest names.
"""

import random
import time
from collections.abc import Callable

from .manifest import Manifest, manifest_path, read_manifest
from .stac_item import write_item
from .storage import AlreadyThereError, Storage

LONGEST_WAIT_S = 0.5  # between attempts


def commit(storage: Storage, build: Callable[[Manifest], Manifest]) -> Manifest:
    """Commit what `build` makes of the newest snapshot; again on the next whenever another was first.

    A build that returns what it was given commits nothing.
    """
    wait_s = 0.001
    with storage.turn():
        while True:
            base = read_manifest(storage)
            manifest = build(base)
            if manifest is base:
                return base
            if put_new(storage, manifest):
                write_item(storage, manifest)
                return manifest
            time.sleep(random.uniform(0, wait_s))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def put_new(storage: Storage, manifest: Manifest) -> bool:
    """Whether this manifest is the one that got its number."""
    try:
        storage.put_new(manifest_path(manifest.snapshot), manifest.to_json())
    except AlreadyThereError:
        return False
    return True
