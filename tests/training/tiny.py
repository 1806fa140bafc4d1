"""Methods of tiny networks: of two numbers each, to calculate by hand, and small published ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from img2img.data.samples import Batch
from img2img.losses import Objective
from img2img.losses.adversarial import LSGAN, Vanilla
from img2img.losses.reconstruction import L1
from img2img.networks import Discriminator, DiscriminatorOutput, Generator
from img2img.networks.norms import NormName
from img2img.networks.patchgan import PatchDiscriminator
from img2img.networks.resnet import ResnetGenerator
from img2img.networks.unet import UNetGenerator
from img2img.training.methods.base import Method
from img2img.training.methods.critic import Critic
from img2img.training.methods.cyclegan import CycleGAN
from img2img.training.methods.pix2pix import Pix2Pix
from tests.training.published import BLOCKS, DEPTH, WIDTH
from tests.training.recipe import batch

Line = tuple[float, ...]

# Two images of one row of two pixels.
PIXELS_A = [0.5, -1.0, 0.25, 0.75]
PIXELS_B = [-0.5, 0.4, 1.0, -0.3]
START: dict[str, Line] = {
    "G": (0.8, 0.1),
    "D": (0.3, -0.6, 0.2),
    "G_AB": (0.8, 0.1),
    "G_BA": (-0.7, 0.3),
    "D_A": (0.6, -0.2),
    "D_B": (-0.9, 0.35),
}


class HandGenerator(Generator):
    """y = a x + b for every pixel."""

    size_multiple = min_size = 1

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.conv = pixelwise(a, b)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class HandDiscriminator(Discriminator):
    """logit = c x + d for every pixel; of pairs c a + d b + e, the condition first."""

    def __init__(self, *line: float) -> None:
        super().__init__()
        self.conv = pixelwise(*line)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput(logits=[self.conv(x)], features=[])


@torch.no_grad()
def pixelwise(*line: float) -> nn.Conv2d:
    """A convolution by weights, one a channel, and last the bias."""
    *weights, bias = line
    conv = nn.Conv2d(len(weights), 1, 1)
    conv.weight.copy_(torch.tensor(weights).reshape(conv.weight.shape))
    assert conv.bias is not None
    conv.bias.fill_(bias)
    return conv


def pix2pix_by_hand(objective: Objective | None = None) -> Pix2Pix:
    critic = Critic(HandDiscriminator(*START["D"]), objective or Vanilla())
    return Pix2Pix(HandGenerator(*START["G"]), critic, {"l1": L1(weight=100)})


def cyclegan_by_hand(pool: int = 50) -> CycleGAN:
    return CycleGAN(
        HandGenerator(*START["G_AB"]),
        HandGenerator(*START["G_BA"]),
        Critic(HandDiscriminator(*START["D_A"]), LSGAN(), pool),
        Critic(HandDiscriminator(*START["D_B"]), LSGAN(), pool),
        {"l1": L1(weight=10)},
        {"l1": L1(weight=5)},
    )


def hand_batch() -> Batch:
    shape = (2, 1, 1, 2)
    return batch(torch.tensor(PIXELS_A).reshape(shape), torch.tensor(PIXELS_B).reshape(shape))


def through(line: Sequence[float], values: Sequence[float]) -> list[float]:
    return [line[0] * value + line[1] for value in values]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def weights_of(network: nn.Module) -> list[float]:
    return [value for p in network.parameters() for value in p.flatten().tolist()]


def small_pix2pix() -> Pix2Pix:
    torch.manual_seed(3)
    G = UNetGenerator(in_channels=3, out_channels=3, ngf=WIDTH, num_downs=DEPTH, dropout=False)
    D = PatchDiscriminator(in_channels=6, ndf=WIDTH)
    return Pix2Pix(G, Critic(D, Vanilla()), {"l1": L1(weight=100)})


def small_cyclegan(pool_size: int = 50, norm: NormName = "instance") -> CycleGAN:
    torch.manual_seed(3)
    G_AB, G_BA = (
        ResnetGenerator(in_channels=3, out_channels=3, ngf=WIDTH, n_blocks=BLOCKS, norm=norm)
        for _ in "AB"
    )
    D_A, D_B = (PatchDiscriminator(in_channels=3, ndf=WIDTH, n_layers=2, norm=norm) for _ in "AB")
    critics = [Critic(D, LSGAN(), pool_size) for D in (D_A, D_B)]
    return CycleGAN(G_AB, G_BA, critics[0], critics[1], {"l1": L1(weight=10)}, {"l1": L1(weight=5)})


def small_batches(method: Method, dtype: torch.dtype, batch_size: int = 1) -> list[Batch]:
    """Three, of the smallest size for the method's networks."""
    # Seeds that leave no pixel so near the kink of L1 that float32 sees it on the other side.
    seed, size = (4, (32, 48)) if isinstance(method, Pix2Pix) else (5, (16, 24))
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand((3, 2, batch_size, 3, *size), generator=generator) * 2 - 1
    return [batch(A.to(dtype), B.to(dtype)) for A, B in images]
