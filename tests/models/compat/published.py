"""Networks as pytorch-CycleGAN-and-pix2pix and CUT lay them out, written from the facts about them.

Of torch's own layers only, so that what img2img makes of their weights can be compared.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


def batch(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels)


def instance(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels)


def affine(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def old_instance(channels: int) -> nn.Module:
    """As before 2018: with running averages."""
    return nn.InstanceNorm2d(channels, track_running_stats=True)


def none(channels: int) -> nn.Module:
    return nn.Identity()


NORMS: dict[str, Norm] = {
    "batch": batch,
    "instance": instance,
    "affine": affine,
    "old instance": old_instance,
    "none": none,
}


def biased(norm: Norm) -> bool:
    return isinstance(norm(1), nn.InstanceNorm2d)


def kernel(row: list[int], channels: int) -> Tensor:
    filt = torch.tensor(row, dtype=torch.float32)
    square = filt[:, None] * filt[None]
    return (square / square.sum())[None, None].repeat(channels, 1, 1, 1)


class Downsample(nn.Module):
    """CUT's: a blur of (1, 2, 1) and every other pixel of it."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", kernel([1, 2, 1], channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1,) * 4, "reflect"), self.filt, stride=2, groups=x.shape[1])


class Upsample(nn.Module):
    """CUT's: zeros between the pixels and a blur of (1, 3, 3, 1), edges repeated."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", 4 * kernel([1, 3, 3, 1], channels))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1,) * 4, "replicate")
        y = F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])
        return y[:, :, 1:, 1:][:, :, :-1, :-1]


def pads(kind: str) -> list[nn.Module]:
    layers = {"reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d}
    return [layers[kind](1)] if kind in layers else []


class Block(nn.Module):
    def __init__(self, channels: int, norm: Norm, pad: str, dropout: bool) -> None:
        super().__init__()
        own = 1 if pad == "zero" else 0
        bias = biased(norm)
        layers = [*pads(pad), nn.Conv2d(channels, channels, 3, padding=own, bias=bias)]
        layers += [norm(channels), nn.ReLU(True)]
        layers += [nn.Dropout(0.5)] if dropout else []
        layers += [*pads(pad), nn.Conv2d(channels, channels, 3, padding=own, bias=bias)]
        self.conv_block = nn.Sequential(*layers, norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv_block(x)
        return y


def enlarge(kind: str, into: int, out: int, size: int, bias: bool) -> list[nn.Module]:
    """`deconv`; CUT's `blur`; or a mode of nn.Upsample, `+` reflection padding, then a conv."""
    if kind == "deconv":
        more = 4 - size
        return [nn.ConvTranspose2d(into, out, size, 2, 1, output_padding=more, bias=bias)]
    if kind == "blur":
        return [Upsample(into), nn.Conv2d(into, out, 3, 1, 1, bias=bias)]
    mode, _, padded = kind.partition("+")
    align = False if mode == "bilinear" else None
    resize = nn.Upsample(scale_factor=2, mode=mode, align_corners=align)
    if padded:
        return [resize, *pads(padded), nn.Conv2d(into, out, 3, bias=bias)]
    return [resize, nn.Conv2d(into, out, 3, 1, 1, bias=bias)]


class Resnet(nn.Module):
    def __init__(
        self,
        into: int = 3,
        out: int = 3,
        ngf: int = 6,
        n_blocks: int = 2,
        n_downs: int = 2,
        norm: Norm = instance,
        pad: str = "reflect",
        dropout: bool = False,
        up: str = "deconv",
        blur: bool = False,
        last: nn.Module | None = None,
    ) -> None:
        super().__init__()
        bias = biased(norm)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(into, ngf, 7, bias=bias)]
        layers += [norm(ngf), nn.ReLU(True)]
        width = ngf
        for _ in range(n_downs):
            halve = nn.Conv2d(width, 2 * width, 3, 1 if blur else 2, 1, bias=bias)
            width *= 2
            layers += [halve, norm(width), nn.ReLU(True)]
            layers += [Downsample(width)] if blur else []
        layers += [Block(width, norm, pad, dropout) for _ in range(n_blocks)]
        for _ in range(n_downs):
            layers += enlarge(up, width, width // 2, 3, bias)
            width //= 2
            layers += [norm(width), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, out, 7), last or nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class Level(nn.Module):
    def __init__(
        self,
        outer: int,
        inner: int,
        below: "Level | None",
        norm: Norm,
        up: str,
        into: int | None = None,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        self.outermost = into is not None
        bias = biased(norm)
        down = nn.Conv2d(into or outer, inner, 4, 2, 1, bias=bias)
        deep = inner if below is None else 2 * inner
        rise = enlarge(up, deep, outer, 4, bias or self.outermost)
        if self.outermost:
            assert below is not None
            layers: list[nn.Module] = [down, below, nn.ReLU(True), *rise, nn.Tanh()]
        else:
            layers = [nn.LeakyReLU(0.2, True), down]
            layers += [] if below is None else [norm(inner), below]
            layers += [nn.ReLU(True), *rise, norm(outer)]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y if self.outermost else torch.cat([x, y], 1)


class Unet(nn.Module):
    def __init__(
        self,
        into: int = 3,
        out: int = 3,
        ngf: int = 4,
        depth: int = 5,
        norm: Norm = batch,
        up: str = "deconv",
    ) -> None:
        super().__init__()
        widths = [ngf, 2 * ngf, 4 * ngf, *[8 * ngf] * (depth - 3)]
        level = Level(widths[-2], widths[-1], None, norm, up)
        for k in range(depth - 2, 0, -1):
            level = Level(widths[k - 1], widths[k], level, norm, up, dropout=k >= 4)
        self.model = Level(out, ngf, level, norm, up, into=into)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class Patch(nn.Module):
    def __init__(
        self, into: int = 3, ndf: int = 4, n_layers: int = 3, norm: Norm = batch, blur: bool = False
    ) -> None:
        super().__init__()
        bias, step = biased(norm), 1 if blur else 2
        layers: list[nn.Module] = [nn.Conv2d(into, ndf, 4, step, 1), nn.LeakyReLU(0.2, True)]
        layers += [Downsample(ndf)] if blur else []
        before = ndf
        for n in range(1, n_layers + 1):
            after, inner = ndf * min(2**n, 8), n < n_layers
            layers.append(nn.Conv2d(before, after, 4, step if inner else 1, 1, bias=bias))
            layers += [norm(after), nn.LeakyReLU(0.2, True)]
            layers += [Downsample(after)] if blur and inner else []
            before = after
        self.model = nn.Sequential(*layers, nn.Conv2d(before, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class Pixel(nn.Module):
    def __init__(self, into: int = 3, ndf: int = 4, norm: Norm = batch) -> None:
        super().__init__()
        bias = biased(norm)
        self.net = nn.Sequential(
            nn.Conv2d(into, ndf, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
            norm(2 * ndf),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * ndf, 1, 1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return y


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """With weights, norms and averages as after a training, so that none is idle."""
    generator = torch.Generator().manual_seed(seed)

    def draw(like: Tensor, mean: float, spread: float) -> None:
        like.copy_(mean + spread * torch.randn(like.shape, generator=generator))

    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith(("filt", "num_batches_tracked")):
                continue
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif tensor.ndim == 4:
                fan = tensor[0].numel() if "Transpose" not in name else tensor.shape[0]
                draw(tensor, 0, (2 / fan) ** 0.5)
            else:
                draw(tensor, 1.0 if name.endswith("weight") else 0.0, 0.2)
    return network


def in_tests(network: nn.Module, *, evaluated: bool = False) -> Callable[[Tensor], Tensor]:
    """As the published test script runs it, image by image: in train mode, or with `--eval`.

    Dropout is off in both, since with it no two results are alike.
    """
    network.train(not evaluated)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()

    def run(x: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([network(image[None]) for image in x])

    return run


def arguments_of(case: dict[str, Any]) -> dict[str, Any]:
    return {key: NORMS[value] if key == "norm" else value for key, value in case.items()}
