"""Compares our modules, in float64, with reference outputs: `python -m encoder.parity FILE...`.

A file holds tensors `weights.*` (official names), `input.*` and `output.*`; its metadata `kind` and `config`.
One line per output; the exit status is 1 when a relative error is above 1e-5, 2 when a file cannot be used.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .checkpoint import CheckpointError, fill
from .common_grid import UPHead
from .config import FusionConfig, SkySenseConfig, SwinConfig, ViTConfig
from .official_layout import to_ours
from .skysense import SkySense
from .swin_v2 import SwinV2
from .temporal_fusion import TemporalFusion
from .vit import ViT

TOLERANCE = 1e-5  # max|out - reference| / max|reference|
Tensors = dict[str, Tensor]
Module = TypeVar("Module", bound=nn.Module)
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Deviation:
    """How far one output is from its reference."""

    output: str
    absolute: float  # max|out - reference|
    relative: float  # the same / max|reference|

    @property
    def passes(self) -> bool:
        """False for NaN, too."""
        return self.relative <= TOLERANCE


@torch.inference_mode()
def compare(path: Path) -> list[Deviation]:
    """Runs the module that a reference file describes. Raises CheckpointError for a file of another form."""
    kind, config, groups = _read(path)
    if kind not in KINDS:
        raise CheckpointError(f"{path} is of kind {kind!r}, expected one of {', '.join(KINDS)}")
    try:
        made = KINDS[kind](config, to_ours(groups["weights"]), groups["input"], groups["output"])
    except (KeyError, RuntimeError, ValueError, AssertionError) as error:
        raise CheckpointError(f"{path}: {type(error).__name__}: {error}") from error
    return [_deviation(name, made[name], reference) for name, reference in sorted(groups["output"].items())]


def _read(path: Path) -> tuple[str, Config, dict[str, dict[str, Tensor]]]:
    groups: dict[str, dict[str, Tensor]] = {"weights": {}, "input": {}, "output": {}}
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            for key in file.keys():  # noqa: SIM118
                group, _, name = key.partition(".")
                groups[group][name] = _exact(file.get_tensor(key))
        return metadata["kind"], json.loads(metadata["config"]), groups
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a file of reference tensors: {error!r}") from error


def _exact(tensor: Tensor) -> Tensor:
    """In float64, so that a deviation holds the reference's rounding and none of this machine's."""
    return tensor.double() if tensor.is_floating_point() else tensor


def _filled(model: Module, weights: Mapping[str, Tensor]) -> Module:
    fill(model.double(), dict(weights), "weights")
    return model.eval()


def _deviation(name: str, made: Tensor, reference: Tensor) -> Deviation:
    if made.shape != reference.shape:
        raise CheckpointError(f"output {name} is {tuple(made.shape)}, expected {tuple(reference.shape)}")
    absolute = (made - reference).abs().max().item()
    largest = reference.abs().max().item()
    return Deviation(name, absolute, absolute / largest if largest else absolute)


def swin_config(config: Config, weights: Tensors) -> SwinConfig:
    """The configuration that a file gives of a Swin V2; its weights tell which stages have an output norm."""
    depths = tuple(config["depths"])
    window = config.get("window_size", 8)
    return SwinConfig(
        in_channels=config.get("in_channels", 3),
        width=config["embed_dims"],
        depths=depths,
        heads=tuple(config["num_heads"]),
        patch_px=config.get("patch_size", 4),
        windows=(window,) * len(depths) if isinstance(window, int) else tuple(window),
        mlp_ratio=config.get("mlp_ratio", 4),
        extra_norm_every=config.get("extra_norm_every_n_blocks", 0),
        norm_eps=config.get("norm_eps", 1e-5),
        out_stages=tuple(s for s in range(len(depths)) if f"out_norms.{s}.weight" in weights),
        pad_small_map=config.get("pad_small_map", False),
    )


def vit_config(config: Config) -> ViTConfig:
    """The configuration that a file gives of a ViT."""
    side = config["img_size"]
    return ViTConfig(
        in_channels=config["in_channels"],
        image_px=(side, side) if isinstance(side, int) else tuple(side),
        patch_px=config.get("patch_size", 4),
        width=config["embed_dims"],
        depth=config["num_layers"],
        heads=config["num_heads"],
        mlp_ratio=config.get("mlp_ratio", 4),
        class_token=config.get("with_cls_token", True),
        norm_eps=config.get("norm_eps", 1e-5),
    )


def fusion_config(config: Config) -> FusionConfig:
    """The configuration that a file gives of the fusion."""
    return FusionConfig(
        in_width=config["input_dims"],
        width=config["embed_dims"],
        depth=config["num_layers"],
        heads=config["num_heads"],
        mlp_ratio=config.get("mlp_ratio", 4),
        class_token=config.get("with_cls_token", True),
        norm_eps=config.get("norm_eps", 1e-5),
    )


def _swin(config: Config, weights: Tensors, inputs: Tensors, _: Tensors) -> dict[str, Tensor]:
    model = _filled(SwinV2(swin_config(config, weights)), weights)
    stages = config.get("out_indices", model.config.out_stages)
    maps = model.stage_maps(inputs["0"])
    return {str(i): maps[stage] for i, stage in enumerate(stages)}


def _vit(config: Config, weights: Tensors, inputs: Tensors, _: Tensors) -> dict[str, Tensor]:
    model = _filled(ViT(vit_config(config)), weights)
    indices = config.get("out_indices", -1)
    layers = [i % len(model.layers) for i in ([indices] if isinstance(indices, int) else indices)]
    return {str(i): out for i, out in enumerate(model.layer_maps(inputs["0"], layers))}


def _up_head(config: Config, weights: Tensors, inputs: Tensors, _: Tensors) -> dict[str, Tensor]:
    model = _filled(UPHead(config["in_dim"], config["out_dim"], config["up_scale"]), weights)
    return {"0": model(inputs["0"])}


def _fusion(config: Config, weights: Tensors, inputs: Tensors, outputs: Tensors) -> dict[str, Tensor]:
    model = _filled(TemporalFusion(fusion_config(config)), weights)
    if config.get("output_cls_token", True):
        return {"0": model(inputs["0"])}
    sequence = model.sequence(inputs["0"])
    return {"0": sequence[:, -outputs["0"].shape[1] :]}  # with the extra token, or without it


def _skysense(config: Config, weights: Tensors, inputs: Tensors, outputs: Tensors) -> dict[str, Tensor]:
    hr = {k.removeprefix("encoders.hr."): v for k, v in weights.items()}
    model = SkySense(
        SkySenseConfig(
            hr=swin_config(config["hr"], hr) if "hr" in config else None,
            s2=vit_config(config["s2"]) if "s2" in config else None,
            s1=vit_config(config["s1"]) if "s1" in config else None,
            up_scale=config["head"]["up_scale"] if "head" in config else 1,
            fusion=fusion_config(config["fusion"]),
            date_encoding=config.get("date_encoding", "s2"),
        )
    )
    _filled(model, model.geo.state_dict(prefix="geo.") | dict(weights))
    maps = {}
    for name in (n for n in model.config.modalities if n in inputs):
        pixels = inputs[name] if inputs[name].ndim == 5 else inputs[name][:, None]
        maps[name] = getattr(model, f"encode_{name}")(pixels)
    days = {name: inputs[f"{name}_day_of_year"] for name in maps if f"{name}_day_of_year" in inputs}
    made = maps | {"fused": model.fuse(maps, days)}
    return {name: made[name].reshape(ref.shape) for name, ref in outputs.items()}


KINDS = {"swin_v2": _swin, "vit": _vit, "up_head": _up_head, "fusion": _fusion, "skysense": _skysense}


def main(paths: Sequence[str]) -> int:
    """Prints a line per output; returns the exit status."""
    if not paths:
        print("usage: python -m encoder.parity FILE...", file=sys.stderr)
        return 2
    status = 0
    for path in paths:
        try:
            deviations = compare(Path(path))
        except CheckpointError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        for d in deviations:
            verdict = "ok" if d.passes else f"above {TOLERANCE:g}"
            print(f"{path} {d.output}: absolute {d.absolute:.2e}, relative {d.relative:.2e}, {verdict}")
            status = status if d.passes else 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
