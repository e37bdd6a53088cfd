"""The weights that lie in the repository, by the size they are of or their own name, with their digests."""

import hashlib
from pathlib import Path

from .checkpoint import CheckpointError

FOLDER = Path(__file__).parent / "weights"
SHA256 = {  # of the files
    "nano": ("nano-1.safetensors", "626ba086245c33179c7d30eeadf92e946896fded30e9614e780c9f8fb06141a0"),
    "nano-2": ("nano-2.safetensors", "5a6f2991545fd6248a98443d7712e2f245b64ff5e156324caec100b5931180df"),
}


def shipped_size(model: str) -> str | None:
    """The size whose shipped weights bear a model's name, such as "skyhex/nano-1"; None where none do."""
    return next((size for size, (name, _) in SHA256.items() if f"skyhex/{Path(name).stem}" == model), None)


def shipped_weights(size: str) -> Path | None:
    """The file of a size's weights; None where none are shipped.

    Raises CheckpointError when the file is absent or is not the one that was shipped.
    """
    if size not in SHA256:
        return None
    name, expected = SHA256[size]
    path = FOLDER / name
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if digest != expected:
        raise CheckpointError(
            f"{path} has the SHA-256 {digest}, expected {expected}: "
            "fetch the file again, or give another path"
        )
    return path
