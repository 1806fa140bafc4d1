"""Optimizers by name."""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from img2img.registry import NonNegative, Registry

Beta = Annotated[float, Field(ge=0, lt=1)]

OPTIMIZERS = Registry[torch.optim.Optimizer]("optimizer", "params", "lr")


@OPTIMIZERS.register("adam")
class Adam(torch.optim.Adam):
    """Adam (Kingma & Ba 2015); betas (0.5, 0.999) as published for GANs."""

    def __init__(
        self,
        *,
        params: list[torch.nn.Parameter],
        lr: float,
        betas: tuple[Beta, Beta] = (0.5, 0.999),
        eps: NonNegative = 1e-8,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, fused=_can_fuse(params))

    # Private to torch; a test fails when it moves.
    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        has_complex: bool = super()._init_group(group, *lists)  # type: ignore[no-untyped-call]
        params, grads, exp_avgs, exp_avg_sqs, *_ = lists
        for index, weight in enumerate(params):
            if weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last):
                # As it lies in memory: fused kernels copy what is not contiguous, at each step.
                for tensors in (params, grads, exp_avgs, exp_avg_sqs):
                    tensors[index] = tensors[index].permute(0, 2, 3, 1)
        return has_complex


def restore(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the moments of a saved `state_dict`, but keep the optimizer's own rates and betas."""
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": own})
    for weight, moments in optimizer.state.items():
        for key, value in moments.items():
            if value.shape == weight.shape:
                # Files keep no memory layout, but fused kernels walk weights and moments alike.
                moments[key] = torch.empty_like(weight).copy_(value)


def _can_fuse(params: list[torch.nn.Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in params)
