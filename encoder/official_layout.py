"""Names of tensors: the layout of the authors' checkpoints, as seen in released files -> ours."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

PREFIXES = {
    "backbone_gep.": "encoders.hr.",
    "backbone_hr.": "encoders.hr.",  # SkySense++
    "backbone_s2.": "encoders.s2.",
    "backbone_s1.": "encoders.s1.",
    "head_s2.": "heads.s2.",
    "head_s1.": "heads.s1.",
    "fusion.": "fusion.",
    "ctpe": "date_encoding.table",
}
RULES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"Wqkv\.", "in_proj_"),
        (r"attn\.attn\.in_proj_", "attention.qkv."),
        (r"attn\.attn\.out_proj\.", "attention.out."),
        (r"attn\.w_msa\.proj\.", "attention.out."),
        (r"attn\.w_msa\.cpb_mlp\.", "attention.bias_mlp."),
        (r"attn\.w_msa\.relative_coords_table", "attention.coords"),
        (r"attn\.w_msa\.relative_position_index", "attention.index"),
        (r"attn\.w_msa\.", "attention."),
        (r"ffn\.layers\.0\.0\.", "mlp.0."),
        (r"ffn\.layers\.1\.", "mlp.2."),
        (r"\.ln([12])\.", r".norm\1."),
        (r"^norm(\d)\.", r"out_norms.\1."),
        (r"stages\.(\d+)\.downsample\.", r"downsamples.\1."),
        (r"(stages\.\d+)\.blocks\.", r"\1."),
        (r"patch_embed\.projection\.", "patch_embed."),
        (r"patch_embed\.norm\.", "patch_norm."),
        (r"porj_linear\.", "project."),  # spelled so
        (r"decoder\.0\.", "project."),
        (r"cls_token", "class_token"),
        (r"pos_embed", "position"),
    )
)
COMPUTED = (
    "attention.coords",
    "attention.index",
    "mask_token",
)  # in some files; not used here


def our_name(key: str) -> str:
    """An official key, whole ("backbone_s2.cls_token") or of one part ("cls_token"), in our words."""
    key = key.removeprefix("module.")
    for prefix, part in PREFIXES.items():
        if key.startswith(prefix):
            return part + _within_part(key.removeprefix(prefix))
    return _within_part(key)


def _within_part(key: str) -> str:
    for pattern, name in RULES:
        key = pattern.sub(name, key)
    return key


def to_ours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official tensors under our names and in our shapes, without those that are computed."""
    renamed = {our_name(key): tensor for key, tensor in tensors.items()}
    return {key: _reshape(key, t) for key, t in renamed.items() if not key.endswith(COMPUTED)}


def _reshape(key: str, tensor: Tensor) -> Tensor:
    if key == "date_encoding.table":
        return tensor.reshape(tensor.shape[-2:])  # (1, 365, D) -> (365, D)
    if key.endswith("position"):
        return _with_class_slot(tensor)
    return tensor


def _with_class_slot(position: Tensor) -> Tensor:
    """(1, N, D) without the class token's slot (SkySense++) -> (1, 1 + N, D), the slot zero."""
    count = position.shape[1]
    if round(count**0.5) ** 2 != count:
        return position
    return torch.cat([torch.zeros_like(position[:, :1]), position], dim=1)
