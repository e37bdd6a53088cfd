"""Official layouts -> our format: whole and split files, both generations, refusals."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from encoder.checkpoint import CheckpointError, load_weights
from encoder.config import SkySenseConfig
from encoder.convert import AUTHORS_TERMS, convert
from encoder.embed import Encoder
from encoder.skysense import SkySense

from .official import official_tensors

pytestmark = pytest.mark.float32


@pytest.fixture
def official(model: SkySense) -> dict[str, Tensor]:
    torch.nn.init.normal_(model.date_encoding.table)
    return official_tensors(model.state_dict())


def save(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save({"model": tensors}, path)
    return path


def same_weights(path: Path, model: SkySense) -> bool:
    loaded, state = load_weights(path)[0].state_dict(), model.state_dict()
    return loaded.keys() == state.keys() and all(torch.equal(loaded[key], state[key]) for key in state)


def test_a_whole_file(
    official: dict[str, Tensor], model: SkySense, config: SkySenseConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    info = convert([save(tmp_path / "skysense.pth", official)], out, config=config)
    assert same_weights(out, model)
    assert info.name == "converted/skysense"
    assert info.licence == AUTHORS_TERMS
    assert "non-commercial" in info.licence
    encoder = Encoder(str(out), device="cpu")
    assert encoder.info == info
    assert encoder.model.config == replace(config, date_encoding="s2")


def test_variants_of_names(
    official: dict[str, Tensor], model: SkySense, config: SkySenseConfig, tmp_path: Path
) -> None:
    def other_name(key: str) -> str:
        return "module." + key.replace("backbone_gep", "backbone_hr").replace("in_proj_", "Wqkv.")

    renamed = {other_name(key): tensor.half() for key, tensor in official.items()}
    renamed["module.backbone_hr.mask_token"] = torch.zeros(1, 1, 8)
    for sensor in ("s2", "s1"):
        renamed[f"module.backbone_{sensor}.pos_embed"] = renamed[f"module.backbone_{sensor}.pos_embed"][:, 1:]
    save_file({key: tensor.contiguous() for key, tensor in renamed.items()}, tmp_path / "pp.safetensors")
    convert([tmp_path / "pp.safetensors"], tmp_path / "out.safetensors", config=config)
    loaded, _ = load_weights(tmp_path / "out.safetensors")
    assert loaded.config.s2.norm_eps == loaded.config.s1.norm_eps == 1e-6
    assert (loaded.encoders["s2"].position[:, 0] == 0).all()
    expected = model.state_dict()["fusion.layers.1.attention.qkv.weight"].half().float()
    assert torch.equal(loaded.state_dict()["fusion.layers.1.attention.qkv.weight"], expected)


def test_split_files(
    official: dict[str, Tensor], model: SkySense, config: SkySenseConfig, tmp_path: Path
) -> None:
    def bare(prefix: str, instead: str = "") -> dict[str, Tensor]:
        return {instead + k.removeprefix(prefix): t for k, t in official.items() if k.startswith(prefix)}

    stray = {"ctpe": torch.zeros_like(official["ctpe"])}
    paths = [
        save(tmp_path / "hr.pth", bare("backbone_gep.", "backbone.")),
        save(tmp_path / "a.pth", bare("backbone_s2.") | {"ctpe": official["ctpe"]}),
        save(tmp_path / "b.pth", bare("backbone_s1.") | stray),
        save(tmp_path / "head_s2.pth", bare("head_s2.")),
        save(tmp_path / "head_s1.pth", bare("head_s1.")),
        save(tmp_path / "fusion.pth", bare("fusion.")),
    ]
    convert(paths, tmp_path / "out.safetensors", config=config, name="mine")
    assert same_weights(tmp_path / "out.safetensors", model)
    with pytest.raises(CheckpointError, match=r"head\.pth is a head, of S1 or S2"):
        convert([save(tmp_path / "head.pth", bare("head_s1."))], tmp_path / "x", config=config)
    with pytest.raises(CheckpointError, match="give each part once"):
        convert([*paths, paths[0]], tmp_path / "x", config=config)


def test_position_embeddings_are_resized(
    official: dict[str, Tensor], config: SkySenseConfig, tmp_path: Path
) -> None:
    larger = replace(config, s2=replace(config.s2, image_px=(32, 32)))
    convert([save(tmp_path / "w.pth", official)], tmp_path / "out.safetensors", config=larger)
    loaded, _ = load_weights(tmp_path / "out.safetensors")
    assert loaded.encoders["s2"].position.shape == (1, 65, 16)
    assert torch.equal(loaded.encoders["s2"].position[:, 0], official["backbone_s2.pos_embed"][:, 0])


def test_missing_and_unexpected_are_named(
    official: dict[str, Tensor], config: SkySenseConfig, tmp_path: Path
) -> None:
    del official["fusion.cls_token"]
    official["backbone_s2.layers.9.ln1.weight"] = torch.zeros(16)
    with pytest.raises(CheckpointError) as error:
        convert([save(tmp_path / "w.pth", official)], tmp_path / "out.safetensors", config=config)
    assert "missing fusion.class_token" in str(error.value)
    assert "unexpected encoders.s2.layers.9.norm1.weight" in str(error.value)
    assert not (tmp_path / "out.safetensors").exists()


def test_allowed_missing(official: dict[str, Tensor], config: SkySenseConfig, tmp_path: Path) -> None:
    part = {k: t for k, t in official.items() if "s1" not in k and k != "fusion.cls_token"}
    path, out = save(tmp_path / "w.pth", part), tmp_path / "out.safetensors"
    with pytest.raises(CheckpointError, match=r"missing encoders\.s1"):
        convert([path], out, config=config, allow_missing=["fusion.cls_token"])
    convert([path], out, config=config, allow_missing=["backbone_s1", "fusion.class_token"])
    loaded, _ = load_weights(out)
    assert loaded.config.modalities == ("hr", "s2")


def test_files_that_are_no_checkpoints(config: SkySenseConfig, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("run",)

    out = tmp_path / "out.safetensors"
    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="refused: it is no file of plain tensors"):
        convert([tmp_path / "evil.pth"], out, config=config)
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(CheckpointError, match=r"plain tensors|not a readable checkpoint"):
        convert([tmp_path / "text.pth"], out, config=config)
    (tmp_path / "short.safetensors").write_bytes(b"\0")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        convert([tmp_path / "short.safetensors"], out, config=config)
    with pytest.raises(CheckpointError, match="holds no table of tensors"):
        convert([save(tmp_path / "list.pth", {"a": 3})], out, config=config)
    with pytest.raises(CheckpointError, match="of no known layout; its first keys: a"):
        convert([save(tmp_path / "other.pth", {"a": torch.zeros(1)})], out, config=config)
    with pytest.raises(CheckpointError, match="no file at"):
        convert([tmp_path / "absent.pth"], out, config=config)
