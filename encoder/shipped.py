"""The weights that lie in the repository, by their own name or the size they are of, with their digests."""

import hashlib
from pathlib import Path

from .checkpoint import CheckpointError

FOLDER = Path(__file__).parent / "weights"
SHA256 = {  # of FOLDER/NAME.safetensors
    "nano-1": "626ba086245c33179c7d30eeadf92e946896fded30e9614e780c9f8fb06141a0",
    "nano-2": "5a6f2991545fd6248a98443d7712e2f245b64ff5e156324caec100b5931180df",
    "nano-3": "ca6b1981b88e84dddada41c3e3205703f9d3f0ae864ea4a66293d3fc1cf4fc59",
}
OF_SIZE = {"nano": "nano-3"}  # those that a size stands for
PREFIX = "skyhex/"  # of a model's name in a table


def shipped_name(model: str) -> str | None:
    """The word after `--weights` for a model such as "skyhex/nano-1"; None where its weights do not ship."""
    name = model.removeprefix(PREFIX)
    return name if name in SHA256 and name != model else None


def shipped_weights(word: str) -> Path | None:
    """The file of weights by name or size; None where none are shipped.

    Raises CheckpointError when the file is absent or is not the one that was shipped.
    """
    name = OF_SIZE.get(word, word)
    if name not in SHA256:
        return None
    path = FOLDER / f"{name}.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if digest != SHA256[name]:
        raise CheckpointError(
            f"{path} has the SHA-256 {digest}, expected {SHA256[name]}: "
            "fetch the file again, or give another path"
        )
    return path
