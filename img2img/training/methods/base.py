"""What a training method says to the loop, and nothing of how the loop does it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Self

from torch import Tensor, nn

from img2img.config import Direction, RunConfig, Section
from img2img.data.dataset import DataSet
from img2img.data.samples import Batch
from img2img.errors import ConfigError, some_names
from img2img.images import Domain
from img2img.losses import RECONSTRUCTIONS, Reconstruction
from img2img.networks import Generator
from img2img.registry import Registry
from img2img.training.methods.critic import Critic
from img2img.training.methods.image_pool import ImagePool
from img2img.training.methods.loss import Loss

# Before the names of what is in a saved state.
NETWORKS = "networks."

Fakes = dict[str, Tensor]
"""What the losses of a batch share, by name."""


class Method(nn.Module, ABC):
    """Networks in named groups, and how a batch becomes the loss of each group.

    Each group has an optimizer of its own. A step makes one update of each, in their order; the
    loss of a group is computed when the groups before it have been updated, and changes the weights
    of that group alone. A method knows nothing of devices, precision, files or progress.

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
    gives_style: ClassVar[bool] = False
    """Whether it gives its generators a style; else those that take one are refused."""
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
    def from_config(cls, config: RunConfig, domains: tuple[Domain, Domain]) -> Self:
        """Build the networks and losses that a resolved configuration names.

        Args:
            domains: what the images of `A` and of `B` of a batch are.

        Raises:
            ConfigError: a part or an argument is unknown, or does not go with such images.
        """

    @abstractmethod
    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        """What the losses of these groups share, such as translations; made once a batch.

        Behind a group that is not of critics it is made again for the next such group, whose loss
        needs a graph of its own.
        """

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
    def distances(cls, config: RunConfig, name: str, *domains: Domain) -> dict[str, Reconstruction]:
        """The distances of one of the lists in `losses`, by name.

        Args:
            domains: what the images are that they compare.
        """
        rgb = all(domain.is_rgb for domain in domains)
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
        """The networks that `ema` averages: all but critics."""
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

    def saved(self) -> dict[str, Tensor]:
        """What a saved training state has of it: all networks but teachers."""
        return self.networks.state_dict(prefix=NETWORKS)

    def load_saved(self, saved: Mapping[str, Tensor]) -> str:
        """Take back what `saved` gave.

        What critics remember beside their networks may be missing, and begins anew then: the state
        is an older version's, or augmentations are other ones.

        Returns:
            What begins anew or is dropped, in words; empty if nothing.

        Raises:
            ConfigError: it is of networks that the configuration no longer describes.
        """
        own = self.saved()
        anew = [key for key in self._of_critics(own) if key not in saved]
        dropped = [key for key in self._of_critics(saved) if key not in own]
        kept = {key: value for key, value in saved.items() if key not in dropped}
        kept |= {key: own[key] for key in anew}
        try:
            self.networks.load_state_dict({k.removeprefix(NETWORKS): v for k, v in kept.items()})
        except RuntimeError as error:
            first = " ".join(str(error).split("\n")[1:2]).strip()
            raise ConfigError(
                f"the saved state is of other networks than configured: {first}"
            ) from None
        what = ("not in the saved state, begun anew", anew), ("dropped from it", dropped)
        return "; ".join(f"{text}: {some_names(keys)}" for text, keys in what if keys)

    def _of_critics(self, keys: Iterable[str]) -> list[str]:
        """The keys of what critics remember beside their networks."""
        critics = tuple(f"{NETWORKS}{name}." for name in self.critics)
        networks = tuple(f"{critic}discriminator." for critic in critics)
        return [key for key in keys if key.startswith(critics) and not key.startswith(networks)]


METHODS = Registry[Method]("method")
