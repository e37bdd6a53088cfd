"""Patches to cells."""

import torch

from encoder.common_grid import UPHead


def test_each_patch_becomes_a_block_of_cells() -> None:
    torch.manual_seed(0)
    head = UPHead(in_width=6, out_width=5, scale=2)
    patches = torch.randn(3, 6, 4, 7)
    out = head(patches)
    assert out.shape == (3, 5, 8, 14)
    block = head.project(patches)[1, :, 2, 3].view(5, 2, 2)  # (channel, row, column)
    assert torch.equal(out[1, :, 4:6, 6:8], block)


def test_scale_one_is_a_plain_projection() -> None:
    head = UPHead(6, 5, scale=1)
    patches = torch.randn(1, 6, 2, 2)
    torch.testing.assert_close(head(patches), head.project(patches))
