"""Steps of the published training scripts, in float64 and with torch's own modules."""

import math
from abc import ABC, abstractmethod
from collections import Counter

import torch
from torch import Tensor, nn

from img2img.training.methods.base import Method
from tests.models.compat.published import Norm, Patch, Resnet, Unet, batch, instance

# Widths and depths of the networks that are compared.
WIDTH, BLOCKS, DEPTH = 4, 2, 4

Terms = dict[str, Tensor]


def parts_of(method: Method) -> dict[str, nn.Module]:
    """The networks by name, critics without what belongs to them."""
    discriminators = {name: critic.discriminator for name, critic in method.critics.items()}
    return {**method.generators, **discriminators}


class ScriptPool:
    """Once full, with p = 0.5 hand out a stored image and store the new one."""

    def __init__(self, size: int, draws: list[Tensor]) -> None:
        self.size, self.draws = size, draws
        self.images: list[Tensor] = []
        self.outcomes: Counter[str] = Counter()

    def query(self, images: Tensor) -> Tensor:
        handed_out = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image)
                handed_out.append(image)
                self.outcomes["stored"] += 1
            elif self.draws.pop(0) >= 0.5:
                place = int(self.draws.pop(0))
                handed_out.append(self.images[place])
                self.images[place] = image
                self.outcomes["exchanged"] += 1
            else:
                handed_out.append(image)
                self.outcomes["passed"] += 1
        return torch.stack(handed_out)


class Script(ABC):
    """What a published script does with a batch, from the weights that a method has now."""

    def __init__(self, method: Method, networks: dict[str, nn.Module]) -> None:
        self.networks = networks
        for name, network in networks.items():
            network.load_state_dict(parts_of(method)[name].state_dict())
            network.double()
        self.draws: list[Tensor] = []
        """What its pools are to draw at random."""
        self.pools: dict[str, ScriptPool] = {}
        self.optimizers = {
            group: torch.optim.Adam(self._weights(group), lr=2e-4, betas=(0.5, 0.999))
            for group in "GD"
        }

    def _weights(self, group: str) -> list[nn.Parameter]:
        return [
            weight
            for name, network in self.networks.items()
            if name.startswith(group)
            for weight in network.parameters()
        ]

    def step(self, A: Tensor, B: Tensor, lr: float) -> dict[str, float]:
        """One update of each group, and what is logged of it."""
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = lr
        return {name: value.item() for name, value in self.losses(A.double(), B.double()).items()}

    @abstractmethod
    def losses(self, A: Tensor, B: Tensor) -> Terms:
        """The terms of an update, which it makes."""

    def update(self, group: str, loss: Tensor) -> Terms:
        """By the gradient of the group's own weights, whose length is logged."""
        weights = self._weights(group)
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = slope
        self.optimizers[group].step()
        square = sum(weight.grad.square().sum() for weight in weights if weight.grad is not None)
        return {f"{group}/gradient": torch.tensor(math.sqrt(square))}


def judged(loss: Tensor, real: Tensor, fake: Tensor, domain: str = "") -> Terms:
    """What is logged of a critic's loss and logits."""
    return {
        f"D/adv{domain}": loss,
        f"D/real{domain}": real.mean(),
        f"D/fake{domain}": fake.mean(),
        f"D/accuracy{domain}": (real > fake).double().mean(),
    }


class Pix2PixScript(Script):
    """D first, then G by the D that has just changed; BatchNorm sees fake, real and fake."""

    def __init__(self, method: Method) -> None:
        networks: dict[str, nn.Module] = {
            "G": Unet(ngf=WIDTH, depth=DEPTH),
            "D": Patch(into=6, ndf=WIDTH),
        }
        super().__init__(method, networks)

    def losses(self, A: Tensor, B: Tensor) -> Terms:
        G, D, bce = self.networks["G"], self.networks["D"], nn.BCEWithLogitsLoss()
        fake = G(A)
        on_fake, on_real = D(torch.cat([A, fake.detach()], 1)), D(torch.cat([A, B], 1))
        loss_D = bce(on_fake, torch.zeros_like(on_fake)) + bce(on_real, torch.ones_like(on_real))
        terms = judged(loss_D / 2, on_real, on_fake) | self.update("D", loss_D / 2)
        on_fake = D(torch.cat([A, fake], 1))
        terms["G/adv"] = bce(on_fake, torch.ones_like(on_fake))
        terms["G/l1"] = (fake - B).abs().mean()
        return terms | self.update("G", terms["G/adv"] + 100 * terms["G/l1"])


class CycleGANScript(Script):
    """G first, judged by the critics as they are; then D on translations made before, or older."""

    def __init__(self, method: Method, pool_size: int, norm: Norm = instance) -> None:
        networks: dict[str, nn.Module] = {
            name: Resnet(ngf=WIDTH, n_blocks=BLOCKS, norm=norm) for name in ("G_AB", "G_BA")
        }
        for name in ("D_A", "D_B"):
            networks[name] = Patch(ndf=WIDTH, n_layers=2, norm=norm)
        super().__init__(method, networks)
        self.pools = {name: ScriptPool(pool_size, self.draws) for name in ("D_A", "D_B")}

    def losses(self, A: Tensor, B: Tensor) -> Terms:
        G_AB, G_BA, D_A, D_B = self.networks.values()
        l1, mse = nn.L1Loss(), nn.MSELoss()

        def gan(logits: Tensor, target: float) -> Tensor:
            return torch.as_tensor(mse(logits, torch.full_like(logits, target)))

        fake_B = G_AB(A)
        back_A = G_BA(fake_B)
        fake_A = G_BA(B)
        back_B = G_AB(fake_A)
        terms: Terms = {
            "G/identity_B": l1(G_AB(B), B),
            "G/identity_A": l1(G_BA(A), A),
            "G/adv_B": gan(D_B(fake_B), 1.0),
            "G/adv_A": gan(D_A(fake_A), 1.0),
            "G/cycle_A": l1(back_A, A),
            "G/cycle_B": l1(back_B, B),
        }
        weights = {"adv": 1, "cycle": 10, "identity": 5}
        loss_G = torch.stack([weights[name[2:-2]] * value for name, value in terms.items()]).sum()
        terms |= self.update("G", loss_G)
        loss_D = torch.zeros((), dtype=torch.float64)
        for domain, critic, real, fake in (("A", D_A, A, fake_A), ("B", D_B, B, fake_B)):
            on_real = critic(real)
            on_fake = critic(self.pools[f"D_{domain}"].query(fake))
            loss = (gan(on_real, 1.0) + gan(on_fake, 0.0)) / 2
            terms |= judged(loss, on_real, on_fake, f"_{domain}")
            loss_D = loss_D + loss
        return terms | self.update("D", loss_D)


NORMS: dict[str, Norm] = {"instance": instance, "batch": batch}
