"""The authors' checkpoints -> our format. Nothing is downloaded: whoever holds the weights converts them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from .checkpoint import (
    CheckpointError,
    WeightsInfo,
    check_fit,
    fill,
    read_others,
    save_weights,
    weights_info,
)
from .config import SkySenseConfig, SwinConfig, preset
from .initialise import initialise
from .official_layout import PREFIXES, to_ours
from .skysense import SkySense
from .vit import resize_position

AUTHORS_TERMS = (
    "SkySense weights, (c) their authors: for non-commercial research only, under the terms that they were"
    " released with. These terms bind this file and every embedding made with it."
)
SKYSENSE_PP_EPS = 1e-6  # of the ViTs' norms in SkySense++


def convert(
    paths: Sequence[Path],
    out: Path,
    *,
    config: SkySenseConfig | None = None,
    allow_missing: Iterable[str] = (),
    name: str | None = None,
) -> WeightsInfo:
    """Reads official checkpoints and writes one file of ours with the authors' terms inside.

    Args:
        paths: one whole checkpoint, or split files (HR, S2, S1, heads, fusion); .pth or .safetensors.
        out: the .safetensors to write.
        config: sizes of the model; the paper's by default, with what the files tell of norms and dates.
        allow_missing: prefixes of our tensor names, or official prefixes such as "backbone_s1", that may be
            missing. What is missing keeps untrained values; a modality that is missing whole is left out.
        name: name of the weights; that of the first file by default.

    Raises:
        CheckpointError: a file that cannot be read, holds pickled code, or does not fit; names each tensor.
    """
    official: dict[str, Tensor] = {}
    for path in paths:
        layout = _whole_layout(_read(path), path)
        if twice := official.keys() & layout.keys():
            raise CheckpointError(f"{path} repeats {', '.join(sorted(twice)[:5])}, ...: give each part once")
        official |= layout
    tensors = to_ours(official)
    plus_plus = any(key.startswith("backbone_hr.") for key in official)
    config = _adapted(config or preset("huge"), tensors, plus_plus)
    allowed = tuple(_our_prefix(prefix) for prefix in allow_missing)
    config = _without_missing(config, tensors, allowed)
    tensors = _with_resized_positions(config, tensors)
    source = " + ".join(map(str, paths))
    if not allowed:
        check_fit(config, tensors, source)
    model = SkySense(config)
    if allowed:
        initialise(model, seed=0)
    kept = {key: t for key, t in model.state_dict().items() if key.startswith((*allowed, "geo."))}
    fill(model, kept | tensors, source)
    name = name or f"converted/{paths[0].stem}"
    save_weights(model, out, name, trained=True, licence=AUTHORS_TERMS)
    return weights_info(model, name, trained=True, licence=AUTHORS_TERMS)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file in float32."""
    content = read_others(path)
    if not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise CheckpointError(f"{path} holds no table of tensors, neither at its top nor under 'model'")
    return {key: tensor.float() for key, tensor in content.items()}


def _whole_layout(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """A file's tensors under the prefixes of the whole checkpoint; a split file is known by what it holds."""
    prefixes = tuple(prefix for prefix in PREFIXES if prefix != "ctpe")
    if any(key.startswith(prefixes) for key in tensors):
        return dict(tensors)
    bare = {key.removeprefix("backbone."): tensor for key, tensor in tensors.items()}
    part = _part(bare, path)
    if part == "backbone_s1.":
        bare.pop("ctpe", None)  # a stray copy of the table that the published code adds to S2
    return {key if key == "ctpe" else part + key: tensor for key, tensor in bare.items()}


def _part(tensors: Mapping[str, Tensor], path: Path) -> str:
    """The prefix of the part that bare keys belong to."""
    if "porj_linear.weight" in tensors:
        return "fusion."
    if "decoder.0.weight" in tensors:
        return f"head_{_sensor_in_name(path)}."
    if any(key.startswith("stages.") for key in tensors):
        return "backbone_gep."
    if "patch_embed.projection.weight" in tensors:
        return "backbone_s2." if tensors["patch_embed.projection.weight"].shape[1] == 10 else "backbone_s1."
    raise CheckpointError(f"{path} is of no known layout; its first keys: {', '.join(sorted(tensors)[:5])}")


def _sensor_in_name(path: Path) -> str:
    named = [sensor for sensor in ("s1", "s2") if sensor in path.stem.lower()]
    if len(named) != 1:
        raise CheckpointError(f"{path} is a head, of S1 or S2? Put s1 or s2 into the file's name")
    return named[0]


def _our_prefix(prefix: str) -> str:
    """What `allow_missing` says, in our words: "backbone_s1" -> "encoders.s1."."""
    return PREFIXES.get(prefix, PREFIXES.get(f"{prefix}.", prefix))


def _adapted(config: SkySenseConfig, tensors: Mapping[str, Tensor], plus_plus: bool) -> SkySenseConfig:
    """The configuration with what the files tell: their output norms and their generation."""
    hr, s2, s1 = config.hr, config.s2, config.s1
    stages = tuple(s for s in range(4) if f"encoders.hr.out_norms.{s}.weight" in tensors)
    if isinstance(hr, SwinConfig) and stages:
        hr = replace(hr, out_stages=stages)
    if plus_plus and s2 and s1:
        s2, s1 = replace(s2, norm_eps=SKYSENSE_PP_EPS), replace(s1, norm_eps=SKYSENSE_PP_EPS)
    return replace(config, hr=hr, s2=s2, s1=s1, date_encoding="s2")  # on S2 alone, as in the published code


def _without_missing(
    config: SkySenseConfig, tensors: Mapping[str, Tensor], allowed: tuple[str, ...]
) -> SkySenseConfig:
    """The configuration without the modalities that may be missing and are."""

    def gone(name: str) -> bool:
        part = f"encoders.{name}."
        return part.startswith(allowed) and not any(key.startswith(part) for key in tensors)

    return replace(
        config,
        hr=None if gone("hr") else config.hr,
        s2=None if gone("s2") else config.s2,
        s1=None if gone("s1") else config.s1,
    )


def _with_resized_positions(config: SkySenseConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Position embeddings of another square image size, resized to the configuration's."""
    out = dict(tensors)
    for name, vit in (("s2", config.s2), ("s1", config.s1)):
        key = f"encoders.{name}.position"
        if vit and key in out:
            side = round((out[key].shape[1] - 1) ** 0.5)
            new = (vit.image_px[0] // vit.patch_px, vit.image_px[1] // vit.patch_px)
            out[key] = resize_position(out[key], (side, side), new)
    return out
