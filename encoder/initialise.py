"""Seeded initial weights: the same bits on every machine, NumPy version and device."""

import numpy as np
import torch
from torch import Tensor, nn

TOKEN_STD = 0.02  # of learned tokens and of the position and date encodings: content outweighs them


def initialise(model: nn.Module, seed: int) -> None:
    """Fills all parameters in place: linear layers and convolutions uniformly with variance 1 / fan-in,
    norms with one, biases with zero, other tables with a small deviation.

    The random stream is that of MT19937, which NumPy keeps frozen.
    """
    stream = np.random.RandomState(seed)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if name == "logit_scale":
                continue  # keeps its published start
            if isinstance(module, nn.LayerNorm) or "bias" in name:
                nn.init.constant_(parameter, float(name == "weight"))
            else:
                fan_in = parameter[0].numel()
                is_layer = isinstance(module, nn.Linear | nn.Conv2d)
                _fill(parameter, fan_in**-0.5 if is_layer else TOKEN_STD, stream)


@torch.no_grad()
def _fill(parameter: Tensor, std: float, stream: np.random.RandomState) -> None:
    values = (stream.random_sample(tuple(parameter.shape)) * 2 - 1) * (std * 3**0.5)
    parameter.copy_(torch.from_numpy(values.astype(np.float32)))
