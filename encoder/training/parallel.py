"""One process or several under torchrun: what a single process, DDP and FSDP2 answer alike."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.nn.functional import all_gather
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from ..precision import wide
from ..swin_v2 import SwinBlock
from ..transformer import Layer

Module = TypeVar("Module", bound=nn.Module)
Kind = Literal["none", "ddp", "fsdp"]
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
FROM_FIRST = StateDictOptions(full_state_dict=True, strict=False)  # a modality not yet seen has no state


@dataclass(frozen=True)
class Parallel:
    """This process among its peers."""

    kind: Kind
    device: torch.device
    rank: int = 0
    world: int = 1

    @classmethod
    def start(cls, kind: Kind, device: str) -> "Parallel":
        """Joins torchrun's group: NCCL on CUDA, gloo on CPU. With "none" there is nothing to join."""
        if kind == "none":
            return cls(kind, torch.device(device))
        if device == "cuda":
            local = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(local)
        else:
            local = torch.device(device)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device == "cuda" else "gloo")
        return cls(kind, local, dist.get_rank(), dist.get_world_size())

    def stop(self) -> None:
        """Leaves the group, together with all others: gloo may abort one that finds its peers gone."""
        if self.kind != "none":
            dist.barrier()
            dist.destroy_process_group()

    def shard(self, module: Module) -> Module:
        """Under FSDP2 each layer, and then the rest, is split over the processes; else nothing is done."""
        if self.kind == "fsdp":
            mesh = dist.device_mesh.init_device_mesh(self.device.type, (self.world,))
            for part in module.modules():
                if isinstance(part, Layer | SwinBlock):
                    fully_shard(part, mesh=mesh)
            fully_shard(module, mesh=mesh)
        return module

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module as it is called in training: gradients are averaged over the processes."""
        if self.kind == "ddp":
            return DistributedDataParallel(module, find_unused_parameters=True)  # a step has some modalities
        return self.shard(module)

    def after_forward(self, module: nn.Module) -> None:
        """Splits again what FSDP2 gathered for a forward pass that no backward pass follows."""
        if isinstance(module, FSDPModule):
            module.reshard()

    def model_state(self, module: nn.Module) -> dict[str, Any]:
        """All parameters and buffers, on the CPU, whole."""
        return dict(get_model_state_dict(module, options=WHOLE))

    def optimizer_state(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The optimiser's state by parameter name, whole."""
        return dict(get_optimizer_state_dict(module, optimizer, options=WHOLE))

    def load_model_state(self, module: nn.Module, state: dict[str, Any]) -> None:
        """The inverse of `model_state`."""
        set_model_state_dict(module, state, options=FROM_FIRST)

    def load_optimizer_state(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
    ) -> None:
        """The inverse of `optimizer_state`."""
        set_optimizer_state_dict(module, optimizer, state, options=FROM_FIRST)


def gathered(rows: Tensor) -> Tensor:
    """(B, ...) of each process -> all rows of all processes, with gradients; alone, the rows themselves."""
    if not dist.is_initialized():
        return rows
    return torch.cat(all_gather(rows))  # type: ignore[no-untyped-call]


def averaged(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Each scalar as its mean over the processes."""
    stacked = torch.stack([wide(value.detach()) for value in values.values()])
    if dist.is_initialized():
        dist.all_reduce(stacked)
        stacked /= dist.get_world_size()
    return dict(zip(values, stacked.tolist(), strict=True))


def number(value: Tensor) -> float:
    """A scalar as a Python number, also where FSDP2 has split it."""
    whole = value.full_tensor() if isinstance(value, DTensor) else value
    return float(whole.detach())


def checkpoint_gradients(module: nn.Module) -> None:
    """Keeps only the input of each layer for the backward pass, and computes the rest again."""
    for part in module.modules():
        if isinstance(part, Layer | SwinBlock):
            part.forward = partial(checkpoint, part.forward, use_reentrant=False)  # type: ignore[method-assign]
