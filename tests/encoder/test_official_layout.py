"""The authors' names and shapes, at full size and one by one."""

import json
from pathlib import Path

import pytest
import torch

from encoder.config import preset
from encoder.official_layout import our_name, to_ours
from encoder.skysense import SkySense

PARTS = {
    "backbone_hr": "encoders.hr",
    "backbone_s2": "encoders.s2",
    "backbone_s1": "encoders.s1",
    "head_s2": "heads.s2",
    "fusion": "fusion",
}


@pytest.mark.parametrize("part", PARTS)
def test_huge_is_the_published_model(part: str, shared: Path) -> None:
    manifest = json.loads((shared / "parity" / "full_size_manifest.json").read_text())[part]
    with torch.device("meta"):
        module = SkySense(preset("huge")).get_submodule(PARTS[part])
    ours = {key: list(t.shape) for key, t in (*module.named_parameters(), *module.named_buffers())}
    assert ours == {our_name(key): entry["shape"] for key, entry in manifest["keys"].items()}
    assert sum(p.numel() for p in module.parameters()) == manifest["parameters"]


@pytest.mark.parametrize(
    ("official", "ours"),
    [
        ("backbone_gep.patch_embed.projection.weight", "encoders.hr.patch_embed.weight"),
        ("backbone_hr.patch_embed.norm.bias", "encoders.hr.patch_norm.bias"),
        ("backbone_gep.stages.1.downsample.norm.weight", "encoders.hr.downsamples.1.norm.weight"),
        (
            "backbone_gep.stages.2.blocks.5.attn.w_msa.cpb_mlp.2.weight",
            "encoders.hr.stages.2.5.attention.bias_mlp.2.weight",
        ),
        ("backbone_gep.stages.0.blocks.1.norm3.bias", "encoders.hr.stages.0.1.norm3.bias"),
        ("backbone_gep.norm3.weight", "encoders.hr.out_norms.3.weight"),
        ("norm3.weight", "out_norms.3.weight"),
        ("backbone_s2.pos_embed", "encoders.s2.position"),
        ("module.backbone_s1.layers.7.ln2.weight", "encoders.s1.layers.7.norm2.weight"),
        ("backbone_s1.layers.0.attn.attn.in_proj_bias", "encoders.s1.layers.0.attention.qkv.bias"),
        ("backbone_s1.layers.0.attn.attn.Wqkv.bias", "encoders.s1.layers.0.attention.qkv.bias"),
        ("layers.0.ffn.layers.0.0.bias", "layers.0.mlp.0.bias"),
        ("layers.0.ffn.layers.1.weight", "layers.0.mlp.2.weight"),
        ("fusion.porj_linear.weight", "fusion.project.weight"),
        ("fusion.cls_token", "fusion.class_token"),
        ("head_s1.decoder.0.bias", "heads.s1.project.bias"),
        ("ctpe", "date_encoding.table"),
    ],
)
def test_names(official: str, ours: str) -> None:
    assert our_name(official) == ours


def test_computed_tables_and_unused_tokens_are_left_out() -> None:
    keys = [
        "backbone_gep.mask_token",
        "backbone_gep.stages.0.blocks.0.attn.w_msa.relative_coords_table",
        "backbone_gep.stages.0.blocks.0.attn.w_msa.relative_position_index",
    ]
    assert to_ours({key: torch.zeros(1) for key in keys}) == {}


def test_a_position_embedding_without_class_slot_gets_one() -> None:
    position = torch.randn(1, 16, 8)
    ours = to_ours({"pos_embed": position})["position"]
    assert ours.shape == (1, 17, 8)
    assert (ours[:, 0] == 0).all()
    assert torch.equal(ours[:, 1:], position)
    with_slot = torch.randn(1, 17, 8)
    assert torch.equal(to_ours({"pos_embed": with_slot})["position"], with_slot)


def test_the_date_table_loses_its_leading_axis() -> None:
    assert to_ours({"ctpe": torch.zeros(1, 365, 4)})["date_encoding.table"].shape == (365, 4)
