"""Weights on disk: safetensors with the configuration, the name and the licence inside."""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .config import SkySenseConfig
from .skysense import SkySense

FORMAT = "skyhex-weights-1"
OUR_LICENCE = "Apache-2.0"


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


def weights_info(model: SkySense, name: str, trained: bool, licence: str) -> WeightsInfo:
    """The facts of a model in memory."""
    config = model.config
    return WeightsInfo(name, digest(model), config.fusion.width, trained, licence, asdict(config))


def digest(model: SkySense) -> str:
    """SHA-256, as hex, of the configuration and of every tensor's name, type, shape and bytes."""
    sha = hashlib.sha256(model.config.to_json().encode())
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def save_weights(
    model: SkySense, path: Path, name: str, *, trained: bool, licence: str = OUR_LICENCE
) -> None:
    """Writes a model to `path`."""
    metadata = {
        "format": FORMAT,
        "name": name,
        "trained": "true" if trained else "false",
        "licence": licence,
        "config": model.config.to_json(),
    }
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    save_file(tensors, path, metadata)


def load_weights(path: Path) -> tuple[SkySense, WeightsInfo]:
    """Reads what `save_weights` wrote. Raises CheckpointError for anything else."""
    if not path.is_file():
        raise CheckpointError(
            f"no weights at {path}: give the name of shipped weights or a .safetensors file"
        )
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a safetensors file ({error}): `skyhex weights convert` makes one of a .pth file"
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}:"
            " `skyhex weights convert` reads the official layouts"
        )
    try:
        model = SkySense(SkySenseConfig.from_json(metadata["config"]))
        facts = metadata["name"], metadata["trained"] == "true", metadata["licence"]
    except (KeyError, TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise CheckpointError(f"the configuration inside {path} is not of this version: {error!r}") from error
    fill(model, tensors, str(path))
    return model.eval(), weights_info(model, *facts)


def read_others(path: Path) -> Mapping[str, Any]:
    """What somebody else's .safetensors, or .pt of tensors, holds, by name without `module.`.

    Raises:
        CheckpointError: a file that cannot be read, holds pickled code, or no table.
    """
    if not path.is_file():
        raise CheckpointError(f"no file at {path}")
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it is no file of plain tensors, and reading pickled objects could run code"
        ) from error
    except (
        SafetensorError, OSError, RuntimeError, EOFError, LookupError, ValueError, AttributeError,
    ) as error:  # fmt: skip
        raise CheckpointError(f"{path} is not a readable checkpoint: {error}") from error
    for wrapper in ("model", "state_dict"):
        content = content.get(wrapper, content) if isinstance(content, Mapping) else content
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no table of tensors, neither at its top nor under 'model'")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def fill(model: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Loads all of a model's tensors. Raises CheckpointError naming what does not fit."""
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
    model.load_state_dict(tensors)
