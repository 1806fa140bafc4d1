"""What a training method says to the loop, and nothing of how the loop does it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self, cast

from torch import Tensor, nn

from img2img.config import RunConfig, Section
from img2img.data.dataset import DataSet
from img2img.data.samples import Batch, Direction
from img2img.networks import Generator
from img2img.registry import Registry
from img2img.training.critic import Critic, Term
from img2img.training.image_pool import ImagePool

CHANNELS = 3


@dataclass(frozen=True)
class Phase:
    """One update: which networks change, and the loss they go down on.

    The names of terms and scores are the tags in logs: `G/l1`, `D/adv`, ...
    """

    name: str
    """A key of `Method.parameter_groups`."""
    terms: Mapping[str, Term]
    scores: Mapping[str, Tensor] = field(default_factory=dict)
    """Scalars worth logging that are not part of the loss."""

    def loss(self) -> Tensor:
        """The weighted sum of the terms, a scalar."""
        weighted = [term.weight * term.value for term in self.terms.values()]
        return sum(weighted[1:], start=weighted[0])


class Method(nn.Module, ABC):
    """Generators and critics by name, and how a batch becomes losses.

    It knows nothing of devices, precision, files or progress.
    """

    losses: ClassVar[tuple[str, ...]] = ()
    """The lists of distances in a configuration's `losses` that it takes."""
    settings: ClassVar[type[Section]] = Section
    """What its own keys, the configuration's `settings`, are checked against; see `Section`."""
    data: ClassVar[type[DataSet]]
    """What it is trained on."""
    translations: ClassVar[Mapping[str, tuple[str, str]]]
    """By direction, the names in `images` of a translation and of the domain it should be in."""
    cycles: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By domain, the names in `images` of the way there and back and of what it should give."""

    def __init__(self, generators: Mapping[str, Generator], critics: Mapping[str, Critic]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({**generators, **critics})
        self._groups = {"G": tuple(generators), "D": tuple(critics)}

    @classmethod
    @abstractmethod
    def from_config(cls, config: RunConfig) -> Self:
        """Build the networks and losses that a resolved configuration names."""

    @property
    def generators(self) -> dict[str, Generator]:
        """The generators by name."""
        return {name: cast(Generator, self.networks[name]) for name in self._groups["G"]}

    @property
    def critics(self) -> dict[str, Critic]:
        """The critics by name."""
        return {name: cast(Critic, self.networks[name]) for name in self._groups["D"]}

    @property
    def pools(self) -> dict[str, ImagePool]:
        """The pools of earlier translations, by their critics' names."""
        pools = {name: critic.pool for name, critic in self.critics.items()}
        return {name: pool for name, pool in pools.items() if pool is not None}

    def memories(self, state: Iterable[str]) -> list[str]:
        """Which keys of a `state_dict` are of what critics remember beside their networks."""
        critics = tuple(f"networks.{name}." for name in self.critics)
        networks = tuple(f"{critic}discriminator." for critic in critics)
        return [key for key in state if key.startswith(critics) and not key.startswith(networks)]

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The weights of each group that is updated together, by an optimizer of its own."""
        return {
            group: [p for name in names for p in self.networks[name].parameters()]
            for group, names in self._groups.items()
        }

    def buffer_groups(self) -> dict[str, list[Tensor]]:
        """The buffers of each such group."""
        return {
            group: [b for name in names for b in self.networks[name].buffers()]
            for group, names in self._groups.items()
        }

    @abstractmethod
    def phases(self, batch: Batch) -> Iterator[Phase]:
        """The updates that one batch leads to, in order.

        A generator in Python's sense: the loop makes each update before it asks for the next
        phase, so what is computed after a `yield` sees the updated networks.
        """

    @abstractmethod
    def critic_phases(self, batch: Batch) -> Iterator[Phase]:
        """The updates of the critics alone, on a batch of their own.

        Where they have `n_critic` updates a step, all but the last are these.
        """

    def gathered(self, name: str) -> list[Tensor]:
        """What the networks of this phase have seen; see `Critic.gathered`."""
        critics = self.critics.values() if name == "D" else ()
        return [seen for critic in critics for seen in critic.gathered()]

    def after_update(self, name: str) -> None:
        """To be called when the networks of this phase have changed."""
        if name == "D":
            for critic in self.critics.values():
                critic.after_update()

    @abstractmethod
    def direction(self, generator: str, data: Direction) -> Direction:
        """Which way a generator translates, given the direction that the data is read in."""

    @abstractmethod
    def images(self, generators: Mapping[str, Generator], batch: Batch) -> dict[str, Tensor]:
        """Named images of a held-out batch, NCHW in [-1, 1], the columns of a sample sheet."""


METHODS = Registry[Method]("method")
