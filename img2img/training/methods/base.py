"""What a training method says to the loop, and nothing of how the loop does it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Self

from torch import Tensor, nn

from img2img.config import Direction, RunConfig, Section
from img2img.data.dataset import DataSet
from img2img.data.samples import Batch
from img2img.losses import RECONSTRUCTIONS, Reconstruction
from img2img.networks import Generator
from img2img.registry import Registry
from img2img.training.methods.critic import Critic
from img2img.training.methods.image_pool import ImagePool
from img2img.training.methods.loss import Loss

Fakes = dict[str, Tensor]
"""What the losses of a batch share, by name."""


class Method(nn.Module, ABC):
    """Networks in named groups, and how a batch becomes the loss of each group.

    Each group has an optimizer of its own. A step makes one update of each, in their order; the
    loss of a group is computed when the groups before it have been updated. A method knows nothing
    of devices, precision, files or progress.

    Args:
        groups: by group, in the order of the updates, its networks by name. A group is of critics
            alone or of none: critics have `optimizer.lr_d` and `n_critic` updates a step, and what
            `generate` makes reaches their loss without gradients.
        teachers: frozen networks by name, which no optimizer, average or saved state includes.
    """

    data: ClassVar[type[DataSet]]
    """What it is trained on; see `data_class`."""
    translations: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By direction, the names in `images` of a translation and of the domain it should be in."""
    cycles: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By domain, the names in `images` of the way there and back and of what it should give."""
    losses: ClassVar[Mapping[str, str]] = {}
    """The lists of distances that it takes in a configuration's `losses`: name and purpose."""
    settings: ClassVar[type[Section]] = Section
    """What its own keys, the configuration's `settings`, are checked against."""

    def __init__(
        self,
        groups: Mapping[str, Mapping[str, nn.Module]],
        teachers: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.groups = {group: tuple(networks) for group, networks in groups.items()}
        self.networks = nn.ModuleDict(
            {name: net for networks in groups.values() for name, net in networks.items()}
        )
        self.teachers = nn.ModuleDict(dict(teachers or {})).requires_grad_(False).eval()

    @classmethod
    @abstractmethod
    def from_config(cls, config: RunConfig, channels: tuple[int, int]) -> Self:
        """Build the networks and losses that a resolved configuration names.

        Args:
            channels: of `A` and of `B` of a batch.
        """

    @abstractmethod
    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        """What the losses of these groups share, such as translations; made once a batch."""

    @abstractmethod
    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        """The loss of one group.

        Args:
            fakes: what `generate` made of the batch; for a group of critics, detached.
        """

    @abstractmethod
    def direction(self, generator: str, data: Direction) -> Direction:
        """Which way a generator translates, given the direction that the data is read in."""

    @abstractmethod
    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Named images of a held-out batch, NCHW in [-1, 1].

        Args:
            networks: those that are not critics, by name; they may be averages of its own.
        """

    def samples(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """The columns of a sample sheet, of a held-out batch; as `images`, unless others are shown.

        Args:
            networks: those that are not critics, by name; they may be averages of its own.
        """
        return self.images(networks, batch)

    @classmethod
    def data_class(cls, config: RunConfig) -> type[DataSet]:
        """What it is trained on: `data`, unless that depends on the method's settings."""
        return cls.data

    @classmethod
    def distances(cls, config: RunConfig, name: str, rgb: bool = True) -> dict[str, Reconstruction]:
        """The distances of one of the lists in `losses`, by name.

        Args:
            rgb: whether they are of RGB images.
        """
        return RECONSTRUCTIONS.build_all(config.losses.get(name, []), f"losses.{name}", rgb=rgb)

    @property
    def generators(self) -> dict[str, Generator]:
        """The generators by name."""
        return {name: net for name, net in self.networks.items() if isinstance(net, Generator)}

    @property
    def critics(self) -> dict[str, Critic]:
        """The critics by name."""
        return {name: net for name, net in self.networks.items() if isinstance(net, Critic)}

    @property
    def averaged(self) -> dict[str, nn.Module]:
        """The networks that make images: all but critics."""
        return {name: net for name, net in self.networks.items() if not isinstance(net, Critic)}

    @property
    def critic_groups(self) -> list[str]:
        """The groups that are of critics."""
        critics = self.critics
        return [group for group, names in self.groups.items() if critics.keys() >= set(names)]

    @property
    def pools(self) -> dict[str, ImagePool]:
        """The pools of earlier fakes, by their critics' names."""
        pools = {name: critic.pool for name, critic in self.critics.items()}
        return {name: pool for name, pool in pools.items() if pool is not None}

    def parameters_of(self, group: str) -> list[nn.Parameter]:
        """The weights of a group."""
        return [p for name in self.groups[group] for p in self.networks[name].parameters()]

    def buffers_of(self, group: str) -> list[Tensor]:
        """The buffers of a group."""
        return [b for name in self.groups[group] for b in self.networks[name].buffers()]

    def critic_state(self, keys: Iterable[str]) -> list[str]:
        """Which keys of a `state_dict` are of what critics remember beside their networks."""
        critics = tuple(f"networks.{name}." for name in self.critics)
        networks = tuple(f"{critic}discriminator." for critic in critics)
        return [key for key in keys if key.startswith(critics) and not key.startswith(networks)]


def are_rgb(*channels: int) -> bool:
    """Whether images of all these numbers of channels are taken for RGB."""
    return all(count == 3 for count in channels)


METHODS = Registry[Method]("method")
