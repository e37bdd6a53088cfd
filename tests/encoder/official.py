"""Our tensors written back under the official names: what a synthetic official file is made of."""

import re

from torch import Tensor

BACK = (
    (r"^encoders\.hr\.", "backbone_gep."),
    (r"^encoders\.(s\d)\.", r"backbone_\1."),
    (r"^heads\.(s\d)\.project\.", r"head_\1.decoder.0."),
    (r"^fusion\.project\.", "fusion.porj_linear."),
    (r"^date_encoding\.table", "ctpe"),
    (r"class_token", "cls_token"),
    (r"position$", "pos_embed"),
    (r"patch_embed\.", "patch_embed.projection."),
    (r"patch_norm\.", "patch_embed.norm."),
    (r"out_norms\.(\d)", r"norm\1"),
    (r"downsamples\.(\d)", r"stages.\1.downsample"),
    (r"(stages\.\d+)\.(\d+)\.", r"\1.blocks.\2."),
    (r"(blocks\.\d+)\.attention\.out\.", r"\1.attn.w_msa.proj."),
    (r"(blocks\.\d+)\.attention\.bias_mlp", r"\1.attn.w_msa.cpb_mlp"),
    (r"(blocks\.\d+)\.attention\.", r"\1.attn.w_msa."),
    (r"(layers\.\d+)\.attention\.qkv\.", r"\1.attn.attn.in_proj_"),
    (r"(layers\.\d+)\.attention\.out\.", r"\1.attn.attn.out_proj."),
    (r"(layers\.\d+)\.norm([12])\.", r"\1.ln\2."),
    (r"(?<!cpb_)mlp\.0\.", "ffn.layers.0.0."),
    (r"(?<!cpb_)mlp\.2\.", "ffn.layers.1."),
)


def official_tensors(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours in the layout of a whole official checkpoint."""
    out = {}
    for key, tensor in ours.items():
        if key.startswith("geo."):
            continue
        for pattern, name in BACK:
            key = re.sub(pattern, name, key)
        out[key] = tensor[None] if key == "ctpe" else tensor
    return out
