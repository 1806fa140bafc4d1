"""Self-attention over the places of a map (Zhang et al. 2019, SAGAN, arXiv 1805.08318)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Lets every position attend to all others: [N, C, H, W] to the same.

    y = gamma * o + x (equation 3), where o is the sum over all positions, weighted by the softmax
    of unscaled dot products (equations 1 and 2). gamma is learned and starts at 0, so that the
    network first learns from nearby positions.

    Args:
        twice: be differentiable twice, as gradient penalties require; memory is then quadratic in
            H * W.
    """

    def __init__(self, channels: int, *, twice: bool = False) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.twice = twice
        self.key = nn.Conv2d(channels, inner, 1, bias=False)  # f in the paper
        self.query = nn.Conv2d(channels, inner, 1, bias=False)  # g
        self.value = nn.Conv2d(channels, inner, 1, bias=False)  # h
        self.out = nn.Conv2d(inner, channels, 1, bias=False)  # v
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (_as_rows(layer(x)) for layer in (self.query, self.key, self.value))
        if self.twice:
            rows = (q @ k.transpose(2, 3)).softmax(3) @ v
        else:
            rows = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        n, _, height, width = x.shape  # not len(x), which tracing takes for settled
        gathered = rows.transpose(2, 3).reshape(n, -1, height, width)
        y: Tensor = x + self.gamma * self.out(gathered)
        return y


def _as_rows(x: Tensor) -> Tensor:
    """[N, C, H, W] as one head of H * W rows: [N, 1, H * W, C]."""
    # In one piece: torch's way that needs no memory for the weights takes no other.
    return x.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
