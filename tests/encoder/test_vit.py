"""The ViT: shapes, position embedding, masks, class token, norm eps."""

from dataclasses import replace

import pytest
import torch

from encoder.config import ViTConfig
from encoder.initialise import initialise
from encoder.vit import ViT, pad_to_multiple, resize_position

CONFIG = ViTConfig(in_channels=2, image_px=(16, 16), patch_px=4, width=16, depth=3, heads=2)


def vit(config: ViTConfig = CONFIG) -> ViT:
    model = ViT(config)
    initialise(model, seed=3)
    torch.nn.init.normal_(model.position, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(model.class_token, generator=torch.Generator().manual_seed(1))
    return model.eval()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 16), (15, 13), (3, 3)])
def test_map_has_a_token_per_patch(height: int, width: int) -> None:
    out = vit()(torch.randn(2, 2, height, width))
    assert out.shape == (2, 16, -(-height // 4), -(-width // 4))


def test_an_image_is_padded_with_zeros_at_the_right_and_bottom() -> None:
    image = torch.randn(1, 2, 14, 13)
    padded = torch.zeros(1, 2, 16, 16)
    padded[..., :14, :13] = image
    assert torch.equal(pad_to_multiple(image, 4), padded)
    torch.testing.assert_close(vit()(image), vit()(padded))


def test_position_is_resized_only_for_another_size() -> None:
    position = torch.randn(1, 17, 8)
    assert resize_position(position, (4, 4), (4, 4)) is position
    larger = resize_position(position, (4, 4), (6, 5))
    assert larger.shape == (1, 31, 8)
    assert torch.equal(larger[:, 0], position[:, 0])
    flat = resize_position(torch.ones(1, 17, 8), (4, 4), (7, 7))
    torch.testing.assert_close(flat, torch.ones(1, 50, 8))


def test_fully_masked_patches_do_not_matter() -> None:
    model, image = vit(), torch.randn(1, 2, 16, 16)
    valid = torch.ones(1, 16, 16, dtype=torch.bool)
    valid[:, :, 8:] = False
    other = image.clone()
    other[..., 8:] = 7.0
    torch.testing.assert_close(model(image, valid)[..., :2], model(other, valid)[..., :2])
    assert not torch.allclose(model(image)[..., :2], model(other)[..., :2])


def test_a_patch_with_one_valid_pixel_counts() -> None:
    model, image = vit(), torch.randn(1, 2, 16, 16)
    valid = torch.zeros(1, 16, 16, dtype=torch.bool)
    valid[0, ::4, ::4] = True
    torch.testing.assert_close(model(image, valid), model(image))


@pytest.mark.parametrize("class_token", [True, False])
def test_an_image_without_a_valid_pixel_stays_finite(class_token: bool) -> None:
    model = vit(replace(CONFIG, class_token=class_token))
    out = model(torch.randn(1, 2, 16, 16), torch.zeros(1, 16, 16, dtype=torch.bool))
    assert out.isfinite().all()


def test_without_class_token_neither_it_nor_its_position_matters() -> None:
    model, image = vit(replace(CONFIG, class_token=False)), torch.randn(1, 2, 16, 16)
    before = model(image)
    with torch.no_grad():
        model.class_token += 1
        model.position[:, 0] += 1
    torch.testing.assert_close(model(image), before)
    assert not torch.allclose(vit()(image), before)


def test_layer_maps_are_those_of_a_shallower_model() -> None:
    model, image = vit(), torch.randn(1, 2, 16, 16)
    first, last = model.layer_maps(image, [0, 2])
    torch.testing.assert_close(last, model(image))
    model.layers = model.layers[:1]
    torch.testing.assert_close(first, model(image))


def test_norm_eps_changes_what_it_should() -> None:
    """Near zero the eps is what a norm divides by: 1e-5 and 1e-6 then differ by far more than rounding."""
    faint = torch.randn(1, 2, 16, 16) * 1e-3
    outs = []
    for eps in (1e-5, 1e-6):
        model = ViT(replace(CONFIG, norm_eps=eps))
        initialise(model, seed=3)
        torch.nn.init.zeros_(model.position)
        torch.nn.init.zeros_(model.class_token)
        outs.append(model(faint))
    assert (outs[0] - outs[1]).abs().max() > 0.1 * outs[0].abs().max()
