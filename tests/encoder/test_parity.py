"""The parity command: reference files pass, wrong ones fail, other forms are understood."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from encoder.config import FusionConfig, SkySenseConfig, SwinConfig, ViTConfig
from encoder.initialise import initialise
from encoder.parity import main
from encoder.skysense import SkySense
from encoder.swin_v2 import SwinV2
from encoder.temporal_fusion import TemporalFusion
from encoder.vit import ViT

from .official import official_tensors


def write(path: Path, kind: str, config: dict[str, Any], **tensors: Any) -> str:
    """A file of reference tensors: weights in official names, inputs and outputs by name."""
    flat = {
        f"{group}.{name}": tensor.clone().contiguous()
        for group, named in tensors.items()
        for name, tensor in named.items()
    }
    save_file(flat, path, {"kind": kind, "config": json.dumps(config)})
    return str(path)


def part(prefix: str, module: torch.nn.Module) -> dict[str, Tensor]:
    """Official bare keys of one part, which our prefix names."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.05)  # well conditioned: rounding stays far below the tolerance
    tensors = official_tensors({f"{prefix}.{key}": t for key, t in module.state_dict().items()})
    return {key.partition(".")[2]: tensor for key, tensor in tensors.items()}


@pytest.mark.parametrize(
    "name",
    [
        "fusion_cls", "skysense_hr_s2_s1", "swin_256", "swin_288_pad", "uphead",
        "vit_s1_16_nocls_eps", "vit_s2_48_posresize", "vit_s2_64",
    ],
)  # fmt: skip
def test_reference_files_pass(name: str, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(shared / "parity" / f"{name}.safetensors")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all("absolute" in line and "relative" in line and line.endswith("ok") for line in lines)


def test_a_wrong_weight_fails(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = load_file(shared / "parity" / "uphead.safetensors")
    tensors["weights.decoder.0.bias"] += 1e-3
    save_file(tensors, tmp_path / "f.safetensors", {"kind": "up_head", "config": UP_HEAD})
    assert main([str(tmp_path / "f.safetensors")]) == 1
    assert "above 1e-05" in capsys.readouterr().out


UP_HEAD = json.dumps({"in_dim": 32, "out_dim": 24, "up_scale": 4})


def test_nan_fails(tmp_path: Path) -> None:
    weights = {"decoder.0.weight": torch.zeros(1, 1, 1, 1), "decoder.0.bias": torch.full((1,), torch.nan)}
    config = {"in_dim": 1, "out_dim": 1, "up_scale": 1}
    image = {"0": torch.ones(1, 1, 2, 2)}
    path = write(tmp_path / "f", "up_head", config, weights=weights, input=image, output=image)
    assert main([path]) == 1


def test_swin_of_other_sizes(tmp_path: Path) -> None:
    """Maps smaller than the window, odd sizes, another window and defaults where the file is silent."""
    model = SwinV2(
        SwinConfig(
            width=8, depths=(2, 2, 2), heads=(1, 2, 4), windows=(6, 6, 6), extra_norm_every=0,
            out_stages=(1, 2), pad_small_map=True,
        )
    )  # fmt: skip
    weights, image = part("encoders.hr", model), torch.randn(1, 3, 45, 62)
    maps = model.eval().stage_maps(image)
    config = {"embed_dims": 8, "depths": [2, 2, 2], "num_heads": [1, 2, 4], "window_size": 6}
    padding = config | {"pad_small_map": True}
    tensors = {"weights": weights, "input": {"0": image}, "output": {"0": maps[1], "1": maps[2]}}
    assert main([write(tmp_path / "f", "swin_v2", padding, **tensors)]) == 0
    assert main([write(tmp_path / "g", "swin_v2", config, **tensors)]) == 2


def test_vit_with_last_layer_by_default_and_no_class_slot(tmp_path: Path) -> None:
    model = ViT(ViTConfig(in_channels=2, image_px=(16, 16), patch_px=4, width=16, depth=2, heads=2))
    weights = part("encoders.s1", model)
    with torch.no_grad():
        model.position[:, 0] = 0
    weights["pos_embed"] = weights["pos_embed"][:, 1:]
    image = torch.randn(2, 2, 15, 21)
    config = {"img_size": 16, "in_channels": 2, "embed_dims": 16, "num_layers": 2, "num_heads": 2}
    path = write(
        tmp_path / "f", "vit", config, weights=weights, input={"0": image}, output={"0": model.eval()(image)}
    )
    assert main([path]) == 0


@pytest.mark.parametrize("skip", [0, 1])
def test_fusion_whole_sequence_with_or_without_the_extra_token(tmp_path: Path, skip: int) -> None:
    model = TemporalFusion(FusionConfig(in_width=12, width=16, depth=2, heads=2))
    weights, tokens = part("fusion", model), torch.randn(4, 5, 12)
    config = {"input_dims": 12, "embed_dims": 16, "num_layers": 2, "num_heads": 2, "output_cls_token": False}
    output = {"0": model.eval().sequence(tokens)[:, skip:]}
    path = write(tmp_path / "f", "fusion", config, weights=weights, input={"0": tokens}, output=output)
    assert main([path]) == 0


@pytest.mark.parametrize("setting", ["all", "s2"])
def test_date_encoding_of_a_whole_model(tmp_path: Path, setting: str) -> None:
    """Dates of S1 count under "all" alone; a file with the other setting does not pass."""
    config = SkySenseConfig(
        hr=None,
        s2=ViTConfig(image_px=(16, 16), patch_px=4, width=16, depth=1, heads=2),
        s1=ViTConfig(in_channels=2, image_px=(16, 16), patch_px=4, width=16, depth=1, heads=2),
        up_scale=2,
        fusion=FusionConfig(in_width=12, width=16, depth=1, heads=2),
        date_encoding=setting,
    )
    model = SkySense(config)
    initialise(model, seed=4)
    torch.nn.init.normal_(model.date_encoding.table)
    s2, s1 = torch.randn(1, 4, 10, 16, 16), torch.randn(1, 2, 2, 16, 16)
    days = {"s2": torch.tensor([[1, 60, 200, 366]]), "s1": torch.tensor([[0, 300]])}
    maps = {"s2": model.eval().encode_s2(s2), "s1": model.encode_s1(s1)}
    vit = {"img_size": 16, "embed_dims": 16, "num_layers": 1, "num_heads": 2}
    said = {
        "s2": vit | {"in_channels": 10},
        "s1": vit | {"in_channels": 2},
        "head": {"in_dim": 16, "out_dim": 12, "up_scale": 2},
        "fusion": {"input_dims": 12, "embed_dims": 16, "num_layers": 1, "num_heads": 2},
        "date_encoding": setting,
    }
    tensors = {
        "weights": official_tensors(model.state_dict()),
        "input": {"s2": s2, "s1": s1, "s2_day_of_year": days["s2"], "s1_day_of_year": days["s1"]},
        "output": {**maps, "fused": model.fuse(maps, days)},
    }
    assert main([write(tmp_path / "f", "skysense", said, **tensors)]) == 0
    other = said | {"date_encoding": "s2" if setting == "all" else "all"}
    assert main([write(tmp_path / "g", "skysense", other, **tensors)]) == 1


def test_files_of_another_form_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main([str(tmp_path / "absent")]) == 2
    assert main([write(tmp_path / "f", "unet", {}, weights={"a": torch.zeros(1)})]) == 2
    assert "kind 'unet', expected one of swin_v2, vit" in capsys.readouterr().err
    assert main([write(tmp_path / "g", "vit", {}, weights={"a": torch.zeros(1)})]) == 2
    assert "KeyError" in capsys.readouterr().err
