"""Optimizers by name."""

from typing import Annotated

import torch
from pydantic import Field

from img2img.registry import NonNegative, Registry

Beta = Annotated[float, Field(ge=0, lt=1)]

OPTIMIZERS = Registry[torch.optim.Optimizer]("optimizer")


@OPTIMIZERS.register("adam")
class Adam(torch.optim.Adam):
    """Adam (Kingma & Ba 2015), in one fused kernel; betas (0.5, 0.999) as published for GANs."""

    def __init__(
        self,
        *,
        params: list[torch.nn.Parameter],
        lr: float,
        betas: tuple[Beta, Beta] = (0.5, 0.999),
        eps: NonNegative = 1e-8,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, fused=_can_fuse(params))


def _can_fuse(params: list[torch.nn.Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in params)
