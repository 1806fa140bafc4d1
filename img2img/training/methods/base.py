"""The interface between a training method and the loop that runs it."""

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
"""Results that the losses of a batch share, such as translations, by name."""


class Method(nn.Module, ABC):
    """Networks in named groups, and the loss of each group for a batch.

    Each group has an optimizer of its own. A step updates the groups in order: the loss of a group
    is computed after the groups before it have been updated, and only changes the weights of that
    group. Devices, precision, files and progress are not a method's concern.

    Args:
        groups: by group, in the order of the updates, its networks by name. A group has either only
            critics or none: critics are trained with `optimizer.lr_d` and `n_critic` updates per
            step, and their loss gets the results of `generate` without gradients.
        teachers: frozen networks by name. They are not trained, averaged or saved.
    """

    data: ClassVar[type[DataSet]]
    """The kind of data set that it is trained on; see `data_class`."""
    translations: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By direction, two keys of `images`: the translation, and the domain that it should be in."""
    cycles: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By domain, two keys of `images`: the translation there and back, and the original."""
    gives_style: ClassVar[bool] = False
    """Whether it provides a style; if not, generators that need one are refused."""
    takes_labels: ClassVar[bool] = False
    """Whether `A` or `B` may be label maps."""
    losses: ClassVar[Mapping[str, str]] = {}
    """The lists of distances that it reads from the section `losses`: name and purpose."""
    settings: ClassVar[type[Section]] = Section
    """The model of its own keys, the section `settings` of a configuration."""

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
        """Build the method, with the networks and losses that a resolved configuration names.

        Args:
            domains: the kinds of images in `A` and in `B` of a batch.

        Raises:
            ConfigError: a part or an argument is unknown, or does not work with such images.
        """

    @abstractmethod
    def generate(self, batch: Batch, groups: Collection[str]) -> Fakes:
        """The results that the losses of these groups share, such as translations.

        It is called once per batch, and again after each group that has no critics, because the
        loss of the next such group needs a graph of its own.
        """

    @abstractmethod
    def loss(self, group: str, batch: Batch, fakes: Fakes) -> Loss:
        """The loss of a group for a batch.

        Args:
            fakes: what `generate` returned for the batch; detached for a group of critics.
        """

    @abstractmethod
    def direction(self, generator: str, data: Direction) -> Direction:
        """A generator's direction, given the direction in which the data is read."""

    @abstractmethod
    def images(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """Images of a held-out batch and their translations, by name, NCHW in [-1, 1].

        Args:
            networks: those that are not critics, by name; they may be averages of its own.
        """

    def samples(self, networks: Mapping[str, nn.Module], batch: Batch) -> dict[str, Tensor]:
        """The columns of a sample sheet for a held-out batch; by default as `images`.

        Args:
            networks: those that are not critics, by name; they may be averages of its own.
        """
        return self.images(networks, batch)

    @classmethod
    def domain_of(cls, name: str) -> str:
        """The domain, `A` or `B` of a batch, that the images of a name in `samples` belong to."""
        known = {each: way[-1] for way, names in cls.translations.items() for each in names}
        known |= {each: domain for domain, names in cls.cycles.items() for each in names}
        return known.get(name, "A")

    @classmethod
    def data_class(cls, config: RunConfig) -> type[DataSet]:
        """The kind of data set that it is trained on: `data`, unless it depends on the settings."""
        return cls.data

    @classmethod
    def distances(cls, config: RunConfig, name: str, *domains: Domain) -> dict[str, Reconstruction]:
        """The distances in one of the lists of `losses`, by name.

        Args:
            domains: the kind of images that they compare.

        Raises:
            ConfigError: one is not for such images.
        """
        rgb = all(domain.is_rgb for domain in domains)
        labels = any(domain.kind == "labels" for domain in domains)
        path = f"losses.{name}"
        found = RECONSTRUCTIONS.build_all(config.losses.get(name, []), path, rgb=rgb or labels)
        for part, distance in found.items():
            if distance.of_labels != labels:
                what = "is for images, but these" if labels else "is for label maps, but these"
                wanted = "label maps: use `cross_entropy`" if labels else "images"
                raise ConfigError.of_key(path, f"{part!r} {what} are {wanted}")
        return found

    @classmethod
    def outside_distances(cls, config: RunConfig, *domains: Domain) -> dict[str, Reconstruction]:
        """The distances `losses.identity_outside`, of a translation to its input outside of masks.

        Args:
            domains: input and output.

        Raises:
            ConfigError: there are no masks, or input and output have other channels.
        """
        key = "losses.identity_outside"
        if not config.losses.get("identity_outside"):
            return {}
        if config.data.mask is None:
            raise ConfigError.of_key(key, "there is no outside without masks; set `data.mask`")
        A, B = (len(domain.channels) for domain in domains)
        if A != B or any(domain.kind != "image" for domain in domains):
            raise ConfigError.of_key(
                key, f"needs the same channels in both domains; A has {A}, B has {B}"
            )
        return cls.distances(config, "identity_outside", *domains)

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
        """The networks that `ema` averages: all except the critics."""
        return {name: net for name, net in self.networks.items() if not isinstance(net, Critic)}

    @property
    def critic_groups(self) -> list[str]:
        """The groups whose networks are critics."""
        critics = self.critics
        return [group for group, names in self.groups.items() if critics.keys() >= set(names)]

    @property
    def pools(self) -> dict[str, ImagePool]:
        """The pools of earlier fakes, by critic."""
        pools = {name: critic.pool for name, critic in self.critics.items()}
        return {name: pool for name, pool in pools.items() if pool is not None}

    def parameters_of(self, group: str) -> list[nn.Parameter]:
        """The weights of a group."""
        return [p for name in self.groups[group] for p in self.networks[name].parameters()]

    def buffers_of(self, group: str) -> list[Tensor]:
        """The buffers of a group."""
        return [b for name in self.groups[group] for b in self.networks[name].buffers()]

    def saved(self) -> dict[str, Tensor]:
        """What a training state holds of the method: all networks except teachers."""
        return self.networks.state_dict(prefix=NETWORKS)

    def load_saved(self, saved: Mapping[str, Tensor]) -> str:
        """Load what `saved` returned.

        The memory that critics have besides their networks may be missing, because the state is
        from an older version or has other augmentations. It then starts from nothing.

        Returns:
            A phrase that says what starts from nothing or is dropped; empty if nothing does.

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
                f"the saved state does not fit the configured networks: {first}"
            ) from None
        what = (
            ("not in the saved state, so started from nothing", anew),
            ("in the saved state, but no longer used", dropped),
        )
        return "; ".join(f"{text}: {some_names(keys)}" for text, keys in what if keys)

    def _of_critics(self, keys: Iterable[str]) -> list[str]:
        """The keys of the memory that critics have besides their networks."""
        critics = tuple(f"{NETWORKS}{name}." for name in self.critics)
        networks = tuple(f"{critic}discriminator." for critic in critics)
        return [key for key in keys if key.startswith(critics) and not key.startswith(networks)]


METHODS = Registry[Method]("method")
