"""From the word after `--weights` to an encoder.

FILE or the name of a size: ours. `statistics`, `rcf`: without weights. `clip:FILE`: a CLIP checkpoint of
yours. `plugin:NAME`: an entry point of the group `skyhex.encoders` of an installed package.
`python:MODULE:ATTRIBUTE`: an encoder of your own, or what makes one. Code is named by whoever starts a
command, or in Python: never by a table, a link or a served request, which call this with `code=False`.
"""

import importlib
import inspect
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .baseline import BASELINES
from .checkpoint import CheckpointError
from .clip import ClipEncoder
from .embed import Encoder
from .foreign import foreign_encoder
from .protocol import AnyEncoder

GROUP = "skyhex.encoders"
PLUGIN, PYTHON, CLIP = "plugin:", "python:", "clip:"


def load_encoder(
    weights: str = "nano",
    device: str = "auto",
    *,
    code: bool = True,
    compiled: bool = False,
    folder: Path | None = None,
) -> AnyEncoder:
    """The encoder that a word names.

    Args:
        weights: see the head of this file.
        device: of ours; makers of others get it too where they take `device`.
        code: whether `plugin:` and `python:` are allowed.
        compiled: of ours.
        folder: where a module of your own lies; else the current one.

    Raises:
        CheckpointError: there is no such encoder, or it cannot be used.
        InputError: the device is not there.
    """
    if weights in BASELINES:
        return BASELINES[weights]()
    if weights.startswith(CLIP):
        return foreign_encoder(ClipEncoder(Path(weights.removeprefix(CLIP))), weights)
    if weights.startswith((PLUGIN, PYTHON)):
        if not code:
            raise CheckpointError(
                f"{weights!r} names code: only the command line and Python may, not a table or a served page"
            )
        target = _plugin(weights) if weights.startswith(PLUGIN) else _attribute(weights, folder or Path.cwd())
        return foreign_encoder(_made(target, device), weights)
    return Encoder(weights, device, compiled=compiled)


def _plugin(weights: str) -> Any:
    name = weights.removeprefix(PLUGIN)
    plugins = entry_points(group=GROUP)
    if name not in plugins.names:
        raise CheckpointError(
            f"no plugin {name!r} is installed; expected one of {', '.join(sorted(plugins.names)) or 'none'}: "
            f"an entry point of the group {GROUP} (docs/encoders.md)"
        )
    try:
        return plugins[name].load()
    except (ImportError, AttributeError) as error:
        raise CheckpointError(f"{weights}: {error}; install what it needs") from error


def _attribute(weights: str, folder: Path) -> Any:
    module, _, attribute = weights.removeprefix(PYTHON).partition(":")
    if not module or not attribute:
        raise CheckpointError(f"{weights!r} came; expected python:MODULE:ATTRIBUTE")
    here = str(folder)
    sys.path.insert(0, here)  # as `python -m` does: the module is the caller's own
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise CheckpointError(
            f"{weights}: {error}; expected a module that can be imported from here"
        ) from error
    finally:
        sys.path.remove(here)


def _made(target: Any, device: str) -> Any:
    """An encoder itself, or what a class or function makes, on a device where it takes one."""
    if not callable(target) or (hasattr(target, "embed") and not isinstance(target, type)):
        return target
    return target(device=device) if "device" in inspect.signature(target).parameters else target()
