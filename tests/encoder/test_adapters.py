"""The adapters of docs/encoders.md run against stubs that have the packages' signatures.

Signatures and statistics: torchgeo `models/swin.py` and `models/scale_mae.py`; terratorch
`models/backbones/prithvi_vit.py` and `models/backbones/terramind/model/terramind_register.py`; the README of
the `claymodel` package for Clay 1.5; olmoearth_pretrain's README and `datatypes.py` (as public in November
2026). Shapes, bands and units are checked; embeddings are not: the stubs give noise.
"""

import enum
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data.sample import ANY_TIME, ImageSeries, Sample
from encoder.foreign import ForeignEncoder
from encoder.single_image import SingleImageEncoder

from ..tolerance import scaling_error

PAGE = Path(__file__).resolve().parents[2] / "docs" / "encoders.md"
BLOCKS = {
    m[1]: m[0] for m in re.finditer(r"```python\n# (\w+)\.py\n.*?```", PAGE.read_text("utf-8"), re.DOTALL)
}
LEVEL = {"s2": 1500, "hr": 128}
Seen = list[torch.Tensor]


def module(name: str, **parts: object) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__dict__.update(parts)
    return made


class Model(torch.nn.Module):
    """Keeps what it got; gives noise of a shape."""

    def __init__(self, forward: Callable[..., object]) -> None:
        super().__init__()
        self.run = forward

    def forward(self, *args: object, **named: object) -> object:
        return self.run(*args, **named)


def noise(seen: Seen, x: torch.Tensor, *shape: int) -> torch.Tensor:
    """Noise that depends on the image alone, so that a batch changes nothing."""
    seen.append(x)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator) * x.flatten(1).mean(1).reshape(-1, *[1] * len(shape)) + 1


def torchgeo(seen: Seen) -> dict[str, types.ModuleType]:
    swin = Model(lambda x: x)
    swin.features = Model(lambda x: noise(seen, x, 8, 8, 1024))
    scale = Model(lambda x: x)
    scale.forward_features = lambda x: noise(seen, x, 1 + 256, 1024)

    def scalemae(weights: object = None, *args: object, img_size: int, res: float) -> Model:
        assert (img_size, res) == (256, 2.5)
        return scale

    class SwinWeights(enum.Enum):
        SENTINEL2_MI_MS_SATLAS = 1

    class ScaleWeights(enum.Enum):
        FMOW_RGB = 1

    models = module(
        "torchgeo.models",
        Swin_V2_B_Weights=SwinWeights,
        swin_v2_b=lambda weights=None, *args, **kwargs: swin,
        ScaleMAELarge16_Weights=ScaleWeights,
        scalemae_large_patch16=scalemae,
    )
    return {"torchgeo": module("torchgeo"), "torchgeo.models": models}


def terratorch(seen: Seen) -> dict[str, types.ModuleType]:
    def prithvi(x: torch.Tensor) -> list[torch.Tensor]:
        assert x.shape[1:] == (6, 1, 224, 224)
        return [noise(seen, x, 1 + 196, 1024)]

    def terramind(x: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        assert x["S2L2A"].shape[1:] == (12, 224, 224)
        return [noise(seen, x["S2L2A"], 196, 768)]

    class Registry:
        def build(self, name: str, pretrained: bool, **kwargs: object) -> Model:
            return Model(prithvi if name.startswith("prithvi") else terramind)

    return {
        "terratorch": module("terratorch"),
        "terratorch.registry": module("terratorch.registry", BACKBONE_REGISTRY=Registry()),
    }


def clay(seen: Seen) -> dict[str, types.ModuleType]:
    waves = dict(enumerate([0.493, 0.56, 0.665, 0.704, 0.74, 0.783, 0.842, 0.865, 1.61, 2.19]))
    sensor = types.SimpleNamespace(gsd=10, bands=types.SimpleNamespace(wavelength=waves))

    def encode(cube: dict[str, torch.Tensor]) -> tuple[torch.Tensor]:
        b = len(cube["pixels"])
        assert (cube["time"].shape, cube["latlon"].shape, cube["waves"].shape) == ((b, 4), (b, 4), (10,))
        assert torch.isfinite(cube["latlon"]).all()
        return (noise(seen, cube["pixels"], 1 + 1024, 1024),)

    model = Model(lambda x: x)
    model.encoder = Model(encode)

    def normalize(pixels: torch.Tensor, name: str, metadata: object) -> torch.Tensor:
        assert pixels.shape[1:] == (10, 256, 256)
        return (pixels - 1000) / 1000

    parts = {"load_model": lambda ckpt_path: model, "normalize": normalize}
    return {"claymodel": module("claymodel", load_metadata=lambda: {"sentinel-2-l2a": sensor}, **parts)}


def olmoearth(seen: Seen) -> dict[str, types.ModuleType]:
    class MaskValue(enum.Enum):
        ONLINE_ENCODER = 0
        MISSING = 3

    class ModelID(enum.Enum):
        OLMOEARTH_V1_BASE = 1

    def encode(sample: types.SimpleNamespace, fast_pass: bool, patch_size: int) -> dict[str, object]:
        b, (x, mask) = len(sample.timestamps), (sample.sentinel2_l2a, sample.sentinel2_l2a_mask)
        assert (x.shape, mask.shape) == ((b, 64, 64, 1, 12), (b, 64, 64, 1, 3))
        assert mask[0, 0, 0, 0].tolist() == [0, 0, 3]
        assert sample.timestamps.shape == (b, 1, 3)
        assert sample.timestamps[:, 0, 1].max() < 12
        tokens = noise(seen, x, 16, 16, 1, 3, 768)
        return {"tokens_and_masks": types.SimpleNamespace(sentinel2_l2a=tokens)}

    model = Model(lambda x: x)
    model.encoder = Model(encode)
    root = "olmoearth_pretrain"
    scale = types.SimpleNamespace(normalize=lambda modality, x: x / 10000)
    return {
        root: module(root),
        f"{root}.data": module(f"{root}.data"),
        f"{root}.data.constants": module("c", Modality=types.SimpleNamespace(SENTINEL2_L2A="s2")),
        f"{root}.data.normalize": module(
            "n", Normalizer=lambda strategy: scale, Strategy=types.SimpleNamespace(COMPUTED=1)
        ),
        f"{root}.datatypes": module("d", MaskedOlmoEarthSample=types.SimpleNamespace, MaskValue=MaskValue),
        f"{root}.model_loader": module(
            "m", ModelID=ModelID, load_model_from_id=lambda model_id, load_weights=True: model
        ),
    }


PACKAGES = {
    "satlas": torchgeo,
    "scale_mae": torchgeo,
    "prithvi": terratorch,
    "terramind": terratorch,
    "clay": clay,
    "olmoearth": olmoearth,
}
EXPECTED = {  # mean of the first channel that the model gets, where all pixels are LEVEL
    "satlas": 1500 / 3558,
    "scale_mae": (128 / 255 - 0.485) / 0.229,
    "prithvi": (1500 - 1087) / 2248,
    "clay": 0.5,
}


def a_sample(encoder: SingleImageEncoder, number: int, dates: int = 2) -> Sample:
    """Half of the first date is not valid; the rest has one level."""
    (name,) = encoder.spec.px_per_cell
    side, bands = 2 * encoder.spec.px_per_cell[name], 3 if name == "hr" else 10
    dates = 1 if name == "hr" else dates
    pixels = np.full((dates, bands, side, side), LEVEL[name] + number)
    pixels = pixels.astype("uint8" if name == "hr" else "uint16")
    valid = np.ones((dates, side, side), dtype=bool)
    valid[0, :, side // 2 :] = False
    series = {name: ImageSeries(pixels, valid, np.arange(1, dates + 1, dtype=np.int16) * 40, ("",) * dates)}
    return Sample(f"s{number}", 0, 7.0, 46.0, *ANY_TIME, (), "", (0.0, 0.0), (2, 2), series, 1.0, 0.0)


@pytest.mark.parametrize("name", list(PACKAGES))
def test_an_adapter_gives_what_the_package_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Seen = []
    for called, made in PACKAGES[name](seen).items():
        monkeypatch.setitem(sys.modules, called, made)
    scope: dict[str, Callable[..., SingleImageEncoder]] = {}
    exec(BLOCKS[name].split("\n", 1)[1].removesuffix("```"), scope)
    encoder = scope["encoder"](device="cpu")
    samples = [a_sample(encoder, number) for number in (0, 60)]
    made = ForeignEncoder(encoder, name).embed(samples, dense=True)
    assert made.embedding.shape == (2, encoder.info.dimension)
    length = np.linalg.norm(made.embedding.astype(float), axis=1)
    np.testing.assert_allclose(length, 1, rtol=scaling_error(made.embedding.shape[1]))
    assert made.dense is not None
    assert made.dense.shape == (2, encoder.info.dimension, 2, 2)
    if name in EXPECTED:
        channel = seen[0][0, 0]
        assert float(channel.flatten()[0]) == pytest.approx(EXPECTED[name], abs=1e-3)
    if name == "terramind":
        assert float(seen[0][0, 0].abs().max()) == 0  # B01 at its mean
        assert float(seen[0][0, 1, 0, 0]) == pytest.approx((1500 - 1503.317) / 2141.107, abs=1e-4)
    if name == "olmoearth":
        assert float(seen[0][0, 0, 0, 0, 0]) == pytest.approx(0.15, abs=1e-4)


def test_every_adapter_of_the_page_is_tested() -> None:
    assert set(BLOCKS) == set(PACKAGES)
