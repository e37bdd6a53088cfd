"""Linear layers by oneDNN where torch brings it, with a GELU in the same pass.

`F.linear` asks MKL on x86, which keeps to narrow instructions on processors of other makers; oneDNN generates
code for the processor at hand.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ONEDNN = hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool = False) -> Tensor:
    """x (..., D), weight (E, D), bias (E,) -> gelu(x @ weight.T + bias) or that without GELU, (..., E)."""
    if _fused(x, weight):
        attr, kind = ("gelu", "none") if gelu else ("none", "")
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, attr, [], kind)
        return out
    out = F.linear(x, weight, bias)
    return F.gelu(out) if gelu else out


def _fused(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN computes it: single precision, on a CPU, without gradients, nothing being compiled."""
    return (
        _ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # inductor takes weights that it packed itself, or fails
    )


class Linear(nn.Linear):
    """`nn.Linear` by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return linear(x, self.weight, self.bias)


class PatchConv(nn.Conv2d):
    """A convolution whose stride is its kernel, by `linear`: its result lies channels last."""

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__(in_channels, out_channels, side, stride=side)
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, h, w)."""
        n, c, height, width = images.shape
        cut = images.reshape(n, c, height // self.side, self.side, width // self.side, self.side)
        patches = cut.permute(0, 2, 4, 1, 3, 5).flatten(3)  # (N, h, w, C * side ** 2)
        return linear(patches, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
