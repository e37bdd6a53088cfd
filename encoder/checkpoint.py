"""Weights on disk: safetensors with the configuration, the name and the licence inside."""

import hashlib
import json
import pickle
import struct
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .config import FusionConfig, SkySenseConfig, SwinConfig, ViTConfig
from .skysense import SkySense

FORMAT = "skyhex-weights-1"
OUR_LICENCE = "Apache-2.0"
MOST = 1024  # of windows, stages, bands and pixels of a patch
SEAL = "sha256"  # of the tensors and of all else that a file says
_UNREADABLE = (
    SafetensorError, OSError, RuntimeError, EOFError, LookupError, ValueError, AttributeError, TypeError,
    AssertionError, struct.error, MemoryError,
)  # fmt: skip


class CheckpointError(ValueError):
    """Weights that cannot be used; says what came, what was expected, what to do."""


@dataclass(frozen=True)
class WeightsInfo:
    """What a table needs to know of the weights that made it."""

    name: str
    digest: str  # SHA-256 of the tensors and the configuration
    dimension: int  # d of the embedding
    trained: bool
    licence: str
    config: dict[str, Any]


def weights_info(
    model: SkySense, name: str, trained: bool, licence: str, ranks: Mapping[str, float] | None = None
) -> WeightsInfo:
    """The facts of a model in memory; `ranks` are effective ranks on validation, by column of a table."""
    config = asdict(model.config) | ({"effective_rank": dict(ranks)} if ranks else {})
    return WeightsInfo(name, digest(model), model.config.dimension, trained, licence, config)


def digest(model: SkySense) -> str:
    """SHA-256, as hex, of the configuration and of every tensor's name, type, shape and bytes."""
    sha = hashlib.sha256(model.config.to_json().encode())
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def save_weights(
    model: SkySense,
    path: Path,
    name: str,
    *,
    trained: bool,
    licence: str = OUR_LICENCE,
    ranks: Mapping[str, float] | None = None,
) -> None:
    """Writes a model to `path`."""
    metadata = {
        "format": FORMAT,
        "name": name,
        "trained": "true" if trained else "false",
        "licence": licence,
        "config": model.config.to_json(),
        **({"effective_rank": json.dumps(dict(ranks))} if ranks else {}),
    }
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    save_file(tensors, path, metadata | {SEAL: _seal(metadata, digest(model))})


def load_weights(path: Path, *, is_known: bool = False) -> tuple[SkySense, WeightsInfo]:
    """Reads what `save_weights` wrote. Raises CheckpointError for anything else, and for what changed since.

    A file without a digest is read with a warning, as earlier versions wrote none; not if `is_known`: whoever
    calls knows the digest of the whole file.
    """
    if not path.is_file():
        raise CheckpointError(
            f"no weights at {path}: give the name of shipped weights or a .safetensors file"
        )
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{path} is not a safetensors file ({error}): `skyhex weights convert` makes one of a .pth file"
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}:"
            " `skyhex weights convert` reads the official layouts"
        )
    try:
        config = SkySenseConfig.from_json(metadata["config"])
        facts = metadata["name"], metadata["trained"] == "true", metadata["licence"]
        ranks = {str(k): float(v) for k, v in json.loads(metadata.get("effective_rank", "{}")).items()}
        check_fit(config, tensors, str(path))
        model = SkySense(config)
    except CheckpointError:
        raise
    except (*_UNREADABLE, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"the configuration inside {path} is not of this version: {error!r}") from error
    fill(model, tensors, str(path))
    info = weights_info(model, *facts, ranks)
    _check_seal(metadata, info.digest, path, is_known)
    return model.eval(), info


def _seal(metadata: Mapping[str, str], tensors: str) -> str:
    said = {name: text for name, text in metadata.items() if name != SEAL}
    return hashlib.sha256(json.dumps([said, tensors], sort_keys=True).encode()).hexdigest()


def _check_seal(metadata: Mapping[str, str], tensors: str, path: Path, is_known: bool) -> None:
    if SEAL in metadata and metadata[SEAL] != _seal(metadata, tensors):
        raise CheckpointError(f"{path} is damaged: its digest is not that of its content; fetch it again")
    if SEAL not in metadata and not is_known:
        warnings.warn(f"{path} holds no digest: nobody knows whether it is as it was written", stacklevel=3)


def read_others(path: Path) -> Mapping[str, Any]:
    """What somebody else's .safetensors, or .pt of tensors, holds, by name without `module.`.

    Raises:
        CheckpointError: a file that cannot be read, holds pickled code, or no table.
    """
    if not path.is_file():
        raise CheckpointError(f"no file at {path}")
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    for wrapper in ("model", "state_dict"):
        content = content.get(wrapper, content) if isinstance(content, Mapping) else content
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no table of tensors, neither at its top nor under 'model'")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def read_torch(path: Path) -> Any:
    """What a file of `torch.save` holds, of plain values and tensors.

    Raises:
        CheckpointError: it cannot be read, or holds pickled code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it is no file of plain tensors, and reading pickled objects could run code"
        ) from error
    except _UNREADABLE as error:
        raise CheckpointError(f"{path} is not a readable checkpoint: {error}") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        content: dict[str, Tensor] = load_file(path)
        return content
    except _UNREADABLE as error:
        raise CheckpointError(f"{path} is not a readable checkpoint: {error}") from error


def fill(model: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Loads all of a model's tensors. Raises CheckpointError naming what does not fit."""
    _refuse_misfits(model, tensors, source)
    model.load_state_dict(tensors)


def check_fit(config: SkySenseConfig, tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuse a configuration that the tensors cannot be of, before it takes memory or time."""
    swins = [part for part in config.encoders.values() if isinstance(part, SwinConfig)]
    vits = [part for part in config.encoders.values() if isinstance(part, ViTConfig)]
    flat: list[ViTConfig | FusionConfig] = [*vits, config.fusion]
    depths = [d for swin in swins for d in swin.depths] + [part.depth for part in flat]
    sizes = [size for swin in swins for size in (swin.width, int(swin.width * swin.mlp_ratio))]
    sizes += [size for part in flat for size in (part.width, int(part.width * part.mlp_ratio))]
    sizes += [(vit.image_px[0] // vit.patch_px) * (vit.image_px[1] // vit.patch_px) + 1 for vit in vits]
    there = {side for tensor in tensors.values() for side in tensor.shape}
    absent = [size for size in sizes if size not in there]
    if min(depths) < 0 or sum(depths) > len(tensors) or absent:
        raise CheckpointError(
            f"{source} does not fit its configuration: {len(tensors)} tensors for {sum(depths)} layers"
            + (f", none of them of the sizes {absent}" if absent else "")
        )
    small = [n for swin in swins for n in (*swin.windows, *swin.out_stages, swin.in_channels, swin.patch_px)]
    small += [n for vit in vits for n in (vit.in_channels, vit.patch_px)]
    if not all(0 <= n <= MOST for n in small):
        raise CheckpointError(f"{source} does not fit its configuration: {small} are no windows and bands")


def _refuse_misfits(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    problems = [f"missing {key}" for key in expected.keys() - tensors.keys()]
    problems += [f"unexpected {key}" for key in tensors.keys() - expected.keys()]
    problems += [
        f"{key} is {tuple(tensors[key].shape)}, expected {expected[key]}"
        for key in expected.keys() & tensors.keys()
        if tuple(tensors[key].shape) != expected[key]
    ]
    if problems:
        raise CheckpointError(f"{source} does not fit its configuration: {'; '.join(sorted(problems))}")
