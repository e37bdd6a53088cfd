"""oneDNN's products against torch's own, and when they are asked for."""

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

from encoder.linear import Linear, PatchConv, linear
from encoder.transformer import MLP

from ..tolerance import gamma


@pytest.mark.float32
@pytest.mark.parametrize("gelu", [False, True])
def test_single_precision_without_gradients_is_the_exact_sum_up_to_rounding(gelu: bool) -> None:
    layer = Linear(48, 40)
    x = torch.randn(3, 5, 48)
    with torch.inference_mode():
        found = linear(x, layer.weight, layer.bias, gelu)
        plain = F.linear(x.double(), layer.weight.double(), layer.bias.double())
        exact = F.gelu(plain) if gelu else plain
        size = x.double().abs() @ layer.weight.double().abs().T + layer.bias.double().abs()
    assert found.dtype == torch.float32
    allowed = 2 * gamma(60) * size  # 49 terms and a GELU, whose slope is below 2
    assert ((found - exact).abs() <= allowed).all()


def test_gradients_reach_input_and_weights() -> None:
    layer, x = Linear(6, 4), torch.randn(2, 3, 6, requires_grad=True)
    linear(x, layer.weight, layer.bias, gelu=True).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is not None


@pytest.mark.float32
def test_autocast_decides_the_number_format() -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert Linear(6, 4)(torch.randn(2, 6)).dtype == torch.bfloat16


@pytest.mark.float32
def test_what_is_compiled_asks_no_product_that_the_compiler_cannot_take() -> None:
    asked: list[str] = []

    def seen(graph: fx.GraphModule, _inputs: list[torch.Tensor]) -> fx.GraphModule:
        asked.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    with torch.no_grad():
        torch.compile(MLP(6, 2), backend=seen)(torch.randn(2, 6))
    assert any("linear" in name for name in asked)
    assert not any("mkldnn" in name for name in asked)


@pytest.mark.parametrize("side", [1, 2, 4])
def test_patches_are_a_convolution_whose_stride_is_its_kernel(side: int) -> None:
    patches = PatchConv(3, 5, side)
    images = torch.randn(2, 3, 8, 12)
    expected = nn.Conv2d.forward(patches, images)
    torch.testing.assert_close(patches(images), expected)
    assert patches(images).permute(0, 2, 3, 1).is_contiguous()
