"""Tiny random towers in CLIP's layout: sizes are read from the file, texts find their images."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import h3
import numpy as np
import pytest
import torch
import urllib3
from safetensors.torch import save_file

import skyhex
from data.sample import ImageSeries, Sample
from encoder.checkpoint import CheckpointError
from encoder.clip import VOCABULARY, ClipEncoder, Layer, Towers
from encoder.foreign import foreign_encoder
from encoder.loading import load_encoder
from encoder.protocol import TextSide
from encoder.word_pieces import WordPieces, byte_letters
from indexer.errors import QueryError
from indexer.table.embedding_table import EmbeddingTable
from pipeline.rows import model_info, rows_of

from ..search_app.serve.conftest import serving

MERGES = [("l", "a"), ("k", "e</w>"), ("la", "ke</w>"), ("f", "a"), ("r", "m</w>"), ("fa", "rm</w>")]
TEXTS = ["a lake", "solar farm", "a town beside a lake", "forest"]
LINEAR = {"attn.in_proj_": (3, 1), "attn.out_proj.": (1, 1), "mlp.c_fc.": (4, 1), "mlp.c_proj.": (1, 4)}
PX, PATCH, WIDTH, DIM, CONTEXT = 16, 8, 64, 12, 24


def random_state(seed: int) -> dict[str, torch.Tensor]:
    """Both towers of two layers, drawn at random."""
    pieces = len(WordPieces.of(MERGES).number)
    shapes = {
        "visual.conv1.weight": (WIDTH, 3, PATCH, PATCH),
        "visual.class_embedding": (WIDTH,),
        "visual.positional_embedding": ((PX // PATCH) ** 2 + 1, WIDTH),
        "visual.proj": (WIDTH, DIM),
        "token_embedding.weight": (pieces, WIDTH),
        "positional_embedding": (CONTEXT, WIDTH),
        "text_projection": (WIDTH, DIM),
        "logit_scale": (),
    }
    for norm in ("visual.ln_pre", "visual.ln_post", "ln_final"):
        shapes |= {f"{norm}.weight": (WIDTH,), f"{norm}.bias": (WIDTH,)}
    for layer in (f"{where}transformer.resblocks.{i}" for where in ("visual.", "") for i in range(2)):
        shapes |= {f"{layer}.ln_{i}.{part}": (WIDTH,) for i in (1, 2) for part in ("weight", "bias")}
        for name, (out, into) in LINEAR.items():
            shapes[f"{layer}.{name}weight"] = (out * WIDTH, into * WIDTH)
            shapes[f"{layer}.{name}bias"] = (out * WIDTH,)
    generator = torch.Generator().manual_seed(seed)
    state = {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    norms = [name for name in state if ".ln_" in f".{name}" and name.endswith("weight")]
    return state | {name: torch.ones(WIDTH) for name in norms}


def chips() -> list[Sample]:
    """Four images of their own colours, far from each other."""
    period = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    out = []
    for i, colour in enumerate(((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))):
        lon, lat = 7.0 + i, 46.0
        rng = np.random.default_rng(i)
        noisy = rng.normal(np.array(colour)[:, None, None], 20, (3, PX, PX))
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        series = {"hr": ImageSeries(pixels[None], np.ones((1, PX, PX), bool), np.zeros(1, np.int16), ("",))}
        corners = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
        ring = tuple((lon + 0.0002 * x, lat + 0.0002 * y) for x, y in corners)
        cell = h3.str_to_int(h3.latlng_to_cell(lat, lon, 12))
        where = ("EPSG:32632", (0.0, 0.0), (1, 1))
        out.append(Sample(f"chip{i}", cell, lon, lat, *period, ring, *where, series, 1.0, float("nan")))
    return out


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose texts point at the images: the text projection is solved for that."""
    folder = tmp_path_factory.mktemp("clip")
    with gzip.open(folder / VOCABULARY, "wt", encoding="utf-8") as out:
        out.write("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in MERGES) + "\n")
    state = random_state(0)
    pieces = WordPieces.of(MERGES)
    with torch.inference_mode():
        towers = Towers(state, quick=False).eval()
        towers.load_state_dict(state, strict=False)
        images = torch.cat([towers.images(torch.from_numpy(c.series["hr"].pixels).float()) for c in chips()])
        towers.text_projection = torch.nn.Parameter(torch.eye(WIDTH))
        words = towers.words(torch.tensor([pieces.encode(text, CONTEXT) for text in TEXTS]))
    state["text_projection"] = torch.linalg.lstsq(words, images).solution
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


def test_pieces_are_merged_in_order_of_rank() -> None:
    pieces = WordPieces.of(MERGES)
    names = {number: name for name, number in pieces.number.items()}
    told = [names[n] for n in pieces.encode("  Lake&amp;FARM's 7 ", 16)]
    assert told[:7] == ["<|startoftext|>", "lake</w>", "&</w>", "farm</w>", "'", "s</w>", "7</w>"]
    assert told[7] == "<|endoftext|>"
    assert pieces.encode("lake", 16)[3:] == [0] * 13
    long = pieces.encode("lake " * 50, 16)
    assert len(long) == 16
    assert names[long[-1]] == "<|endoftext|>"
    assert len(set(byte_letters().values())) == 256


def test_sizes_are_read_from_the_file(checkpoint: Path) -> None:
    encoder = ClipEncoder(checkpoint)
    assert (encoder.towers.image_px, encoder.towers.patch_px, encoder.info.dimension) == (PX, PATCH, DIM)
    assert encoder.spec.px_per_cell == {"hr": PX}
    assert encoder.spec.gsd_m("hr") == 2.5


def test_full_size_towers_have_the_published_parameters() -> None:
    """CLIP ViT-B/32 has 151,277,313 parameters, the logit scale among them."""
    with torch.device("meta"):
        seen, read = (sum(p.numel() for p in Layer(width, quick=False).parameters()) for width in (768, 512))
    visual = 768 * 3 * 32 * 32 + 768 + 50 * 768 + 4 * 768 + 12 * seen + 768 * 512
    text = 49_408 * 512 + 77 * 512 + 12 * read + 2 * 512 + 512 * 512
    assert visual + text + 1 == 151_277_313


def test_texts_find_the_images_that_they_are_paired_with(checkpoint: Path) -> None:
    encoder = foreign_encoder(ClipEncoder(checkpoint), "clip")
    assert isinstance(encoder, TextSide)
    similarity = encoder.embed_text(TEXTS) @ encoder.embed(chips()).embedding.T
    assert similarity.argmax(axis=1).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(np.diagonal(similarity), 1, atol=1e-3)


def test_a_table_is_searched_by_words(checkpoint: Path, tmp_path: Path) -> None:
    word = f"clip:{checkpoint}"
    encoder, samples = load_encoder(word), chips()
    model = model_info(encoder)
    table = EmbeddingTable.create(tmp_path / "table", model, h3_resolution=12)
    table = table.upsert(rows_of(samples, encoder.embed(samples), model))
    for i, text in enumerate(TEXTS):
        hits = skyhex.search(table, text=text, weights=word, k=1)
        assert hits.rows["sample_id"].to_pylist() == [f"chip{i}"]
    away = skyhex.search(table, text=TEXTS[0], not_text=TEXTS[1], weights=word, k=4)
    assert away.rows["sample_id"].to_pylist()[0] == "chip0"
    with serving("-t", str(table.path), "--weights", word) as address:
        pool = urllib3.PoolManager(timeout=120.0)  # the encoder is loaded first
        answer = pool.request("POST", f"{address}/search", json={"text": TEXTS[2], "k": 1})
        assert [row["sample_id"] for row in json.loads(answer.data)["rows"]] == ["chip2"]
    with pytest.raises(QueryError, match="The table was made with"):
        skyhex.search(table, text="a lake", weights="statistics")


def test_words_for_an_encoder_without_them(checkpoint: Path, tmp_path: Path) -> None:
    encoder = load_encoder("statistics")
    table = EmbeddingTable.create(tmp_path / "table", model_info(encoder), h3_resolution=12)
    with pytest.raises(QueryError, match="skyhex/statistics knows no words"):
        skyhex.search(table, text="a lake", weights="statistics")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: {k: v for k, v in state.items() if k != "visual.proj"}, "lacks visual.proj"),
        (lambda state: {k: v for k, v in state.items() if "ln_final" not in k}, "missing ln_final"),
        (lambda state: state | {"visual.ln_post.bias": torch.zeros(3)}, r"ln_post.bias is \(3,\), expected"),
    ],
)
def test_a_file_of_another_layout_is_named(spoil, said: str, tmp_path: Path) -> None:
    save_file(spoil(random_state(1)), tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=said):
        ClipEncoder(tmp_path / "other.safetensors")


@pytest.mark.parametrize("name", ["evil.pt", "short.safetensors", "absent.pt"])
def test_a_file_that_is_no_checkpoint_is_named(name: str, tmp_path: Path) -> None:
    torch.save({"visual.conv1.weight": Path("code")}, tmp_path / "evil.pt")
    (tmp_path / "short.safetensors").write_bytes(b"\0")
    with pytest.raises(CheckpointError, match=name):
        ClipEncoder(tmp_path / name)


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    save_file(random_state(1), tmp_path / "tiny.safetensors")
    with pytest.raises(CheckpointError, match=VOCABULARY):
        ClipEncoder(tmp_path / "tiny.safetensors").embed_text(["a lake"])


def test_a_vocabulary_of_another_size_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    save_file(random_state(1), tmp_path / "tiny.safetensors")
    with gzip.open(tmp_path / VOCABULARY, "wt", encoding="utf-8") as out:
        out.write("#version: 0.2\nl a\n")
    with pytest.raises(CheckpointError, match="expected the vocabulary that it was trained with"):
        ClipEncoder(tmp_path / "tiny.safetensors").embed_text(["a lake"])
