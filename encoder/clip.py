"""Two towers, images and words in one space, from a checkpoint in CLIP's layout that a user has.

Sizes are read from the tensors' shapes, so CLIP's own files, RemoteCLIP's and GeoRSCLIP's ViTs load alike
(names as in OpenAI's `clip/model.py` and open_clip; heads of 64 as their configurations state). The
vocabulary is the user's file, `bpe_simple_vocab_16e6.txt.gz` beside the checkpoint. Nothing is downloaded,
and no code in a file is run. Method: Radford et al., arXiv 2103.00020.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checkpoint import CheckpointError, fill, read_others
from .single_image import Shown, SingleImageEncoder
from .word_pieces import WordPieces

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of RGB, 0-1
HEAD = 64  # width of an attention head
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
State = dict[str, Tensor]


class Layer(nn.Module):
    """Pre-norm Transformer layer, named as CLIP names it."""

    def __init__(self, width: int, quick: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, max(1, width // HEAD), batch_first=True)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})
        self.quick = quick

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        y = self.mlp["c_fc"](self.ln_2(x))
        out: Tensor = x + self.mlp["c_proj"](y * torch.sigmoid(1.702 * y) if self.quick else F.gelu(y))
        return out


class Towers(nn.Module):
    """Both towers; `images` and `words` give vectors in one space."""

    def __init__(self, state: State, quick: bool) -> None:
        super().__init__()
        kernel, words = state["visual.conv1.weight"], state["token_embedding.weight"]
        width, self.context = kernel.shape[0], state["positional_embedding"].shape[0]
        self.patch_px = kernel.shape[2]
        self.image_px = self.patch_px * round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5)
        self.dimension = state["visual.proj"].shape[1]
        visual = nn.Module()
        visual.conv1 = nn.Conv2d(3, width, self.patch_px, self.patch_px, bias=False)
        visual.class_embedding = nn.Parameter(torch.zeros(width))
        visual.positional_embedding = nn.Parameter(torch.zeros_like(state["visual.positional_embedding"]))
        visual.ln_pre, visual.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        visual.transformer = _transformer(state, "visual.transformer", width, quick)
        visual.proj = nn.Parameter(torch.zeros(width, self.dimension))
        self.visual = visual
        self.token_embedding = nn.Embedding(*words.shape)
        self.positional_embedding = nn.Parameter(torch.zeros(self.context, words.shape[1]))
        self.transformer = _transformer(state, "transformer", words.shape[1], quick)
        self.ln_final = nn.LayerNorm(words.shape[1])
        self.text_projection = nn.Parameter(torch.zeros(words.shape[1], self.dimension))

    def images(self, rgb: Tensor) -> Tensor:
        """(B, 3, image_px, image_px) 0-255 -> (B, d)."""
        mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
        tower: nn.Module = self.visual
        x = tower.conv1((rgb / 255 - mean) / std).flatten(2).transpose(1, 2)  # type: ignore[operator]
        first = tower.class_embedding.expand(len(x), 1, -1)  # type: ignore[operator]
        x = tower.ln_pre(torch.cat([first, x], dim=1) + tower.positional_embedding)  # type: ignore[operator]
        x = _run(tower.transformer, x, None)
        out: Tensor = tower.ln_post(x[:, 0]) @ tower.proj  # type: ignore[operator]
        return out

    def words(self, tokens: Tensor) -> Tensor:
        """(B, context) token numbers, the end of a text being its largest -> (B, d)."""
        x = self.token_embedding(tokens) + self.positional_embedding
        mask = torch.full((self.context, self.context), -torch.inf).triu(1)
        x = self.ln_final(_run(self.transformer, x, mask))
        out: Tensor = x[torch.arange(len(x)), tokens.argmax(dim=1)] @ self.text_projection
        return out


def _transformer(state: State, prefix: str, width: int, quick: bool) -> nn.Module:
    numbers = {
        name.split(".resblocks.")[1].split(".")[0] for name in state if name.startswith(f"{prefix}.resb")
    }
    made = nn.Module()
    made.resblocks = nn.ModuleList(Layer(width, quick) for _ in numbers)
    return made


def _run(transformer: object, x: Tensor, mask: Tensor | None) -> Tensor:
    for layer in transformer.resblocks:  # type: ignore[attr-defined]
        x = layer(x, mask)
    return x


class ClipEncoder(SingleImageEncoder):
    """RGB encoder with a text side.

    Args:
        path: a .safetensors, or a .pt of tensors (no pickled code is run).
        gsd_m: pixel size that images are read at.
        quick: CLIP's own approximation of GELU; open_clip's ViT-B-32 has the exact one.

    Raises:
        CheckpointError: the file cannot be read, or is not in this layout.
    """

    def __init__(self, path: Path, gsd_m: float = 2.5, quick: bool = False) -> None:
        state = read_state(path)
        self.towers = Towers(state, quick)
        fill(
            self.towers,
            {name: state[name] for name in state.keys() & self.towers.state_dict().keys()},
            str(path),
        )
        self.towers.eval()
        self.vocabulary = path.with_name(VOCABULARY)
        self._pieces: WordPieces | None = None
        super().__init__(
            f"clip/{path.stem}",
            self._of_images,
            dimension=self.towers.dimension,
            licence="that of the checkpoint",
            sensor="hr",
            window_px=self.towers.image_px,
            cells=1,
            gsd_m=gsd_m,
            max_dates=1,
            digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        )

    def _of_images(self, rgb: Tensor, shown: Sequence[Shown]) -> Tensor:
        return self.towers.images(rgb)[:, :, None, None]

    @torch.inference_mode()
    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 of norm 1. Raises CheckpointError where the vocabulary is missing or another one."""
        if self._pieces is None:
            self._pieces = WordPieces.read(self.vocabulary)
        size = self.towers.token_embedding.num_embeddings
        if len(self._pieces.number) != size:
            raise CheckpointError(
                f"{self.vocabulary} has {len(self._pieces.number)} pieces and the checkpoint {size}; "
                "expected the vocabulary that it was trained with"
            )
        rows = [self._pieces.encode(text, self.towers.context) for text in texts]
        return np.asarray(F.normalize(self.towers.words(torch.tensor(rows)).float(), dim=1).numpy())


def read_state(path: Path) -> State:
    """The tensors of a checkpoint, by CLIP's names, in float32.

    Raises:
        CheckpointError: no such file, a file with code in it, or another layout.
    """
    tensors = {name: value.float() for name, value in read_others(path).items() if isinstance(value, Tensor)}
    wanted = ("visual.conv1.weight", "visual.positional_embedding", "visual.proj", "token_embedding.weight",
              "positional_embedding", "text_projection")  # fmt: skip
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; expected a ViT in CLIP's layout")
    return tensors
