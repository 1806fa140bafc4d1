"""A discriminator with all that belongs to it."""

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self, TypeVar, cast

import torch
from torch import Tensor, nn

from img2img.config import RunConfig, TopKConfig
from img2img.diffaug import AUGMENTATIONS, Augmentation
from img2img.errors import ConfigError
from img2img.images import Domain
from img2img.images.places import mean_per_image, shares, without_invalid
from img2img.losses import (
    OBJECTIVES,
    REGULARIZERS,
    Judge,
    Objective,
    Regularizer,
    refuse_batch_norm,
)
from img2img.losses.adversarial import ALL, Valid
from img2img.networks import DISCRIMINATORS, Discriminator
from img2img.runtime.devices import at_least_float32
from img2img.training.methods.image_pool import ImagePool
from img2img.training.methods.loss import Loss, Term

OfLabels = TypeVar("OfLabels", Objective, Regularizer)

# What the mean over feature maps is multiplied by in pix2pixHD.
FEATURES = 4.0


class Clock(nn.Module):
    """Counts a critic's updates, on the CPU, where reading it does not wait for a GPU."""

    updates: Tensor
    """int64: updates so far."""
    images: Tensor
    """int64: real images seen so far, by all processes together."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))


class Critic(nn.Module):
    """A discriminator with its objective, penalties, augmentations and image pool.

    With a condition it sees pairs: condition and image, concatenated along the channels (Isola et
    al. 2017, equation 1). A discriminator of the classes of label maps sees the image alone; its
    losses are given the label map, which the condition begins with.

    Args:
        pool_size: how many fakes to keep and show again instead of new ones, together with their
            conditions; 0 keeps none.
        regularizers: gradient penalties on the discriminator, by name. The gradient is taken with
            respect to the image, not the condition, and before augmentation. Fakes come from the
            pool; with a condition, which real and fake must share, they are the new ones.
        augmentations: applied in order to every image that the discriminator sees, by name.
        top_k: lets a generator learn only from the most convincing images of a batch (Sinha et al.
            2020, arXiv 2002.06224).
        feature_matching: lambda of Wang et al. 2018 (arXiv 1711.11585, equation 5), the weight of
            the distance between the discriminator's features of fake and real images in the
            generator's loss; 0 disables it. The distance is 4 times the mean absolute difference,
            averaged over all maps. That is equation 4 with the weights of the authors' code, 4 / T
            for each of T layers, averaged over scales that have equally many layers (the scales of
            `projected` do not, and the finest has the largest weight). With a condition the two
            images show the same thing and are compared place by place; without, the means of their
            channels are compared (Salimans et al. 2016, arXiv 1606.03498, section 3.1).

    Raises:
        ConfigError: the objective or a regularizer does not work with this discriminator.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        objective: Objective,
        pool_size: int = 0,
        *,
        regularizers: Mapping[str, Regularizer] | None = None,
        augmentations: Mapping[str, Augmentation] | None = None,
        top_k: TopKConfig | None = None,
        feature_matching: float = 0.0,
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.objective = objective
        self.pool = ImagePool(pool_size) if pool_size else None
        self.regularizers = dict(regularizers or {})
        objective.check(discriminator)
        for name in self.regularizers:
            refuse_batch_norm(discriminator, name)
        self.augmentations = nn.Sequential(OrderedDict(augmentations or {}))
        self.top_k = top_k
        self.feature_matching = feature_matching
        self.clock = Clock()
        self.processes = 1
        """Number of processes whose critics see equally many images at the same time."""
        self._precise = (discriminator,)  # in a tuple, so that it is not a part of this one

    @classmethod
    def from_config(cls, config: RunConfig, *domains: Domain) -> Self:
        """Build a critic from a configuration.

        Args:
            domains: the kinds of images it sees: the condition, if there is one, and the image.
        """
        rgb = all(domain.is_rgb for domain in domains)
        section, seen = config.discriminator, domains
        labels = domains[0].classes if len(domains) > 1 else 0
        if labels and "classes" in DISCRIMINATORS.arguments(section, "discriminator"):
            section = section.model_copy(update={"classes": labels})
            seen = domains[1:]
            if config.critic.augment:
                raise ConfigError.of_key("critic.augment", "label maps do not follow augmentations")
        return cls(
            DISCRIMINATORS.build(
                section,
                "discriminator",
                rgb=rgb,
                in_channels=sum(len(domain.channels) for domain in seen),
            ),
            OBJECTIVES.build(config.objective, "objective"),
            config.image_pool,
            regularizers=REGULARIZERS.build_all(config.regularizers, "regularizers"),
            augmentations=AUGMENTATIONS.build_all(config.critic.augment, "critic.augment", rgb=rgb),
            top_k=config.critic.top_k,
            feature_matching=config.critic.feature_matching,
        )

    @property
    def shared_state(self) -> list[object]:
        """The memory it has besides its network, which its copy in another precision shares."""
        return [self.clock, self.augmentations, *([self.pool] if self.pool else [])]

    def compute_penalties_by(self, other: "Critic") -> None:
        """Compute penalties with another critic's discriminator: a copy uses the float32 one.

        A penalty is the gradient of a gradient, for which bfloat16 has too few digits.
        """
        self._precise = (other.discriminator,)

    def d_loss(
        self,
        real: Tensor,
        fake: Tensor,
        condition: Tensor | None = None,
        *,
        valid: Valid = ALL,
        real_first: bool = False,
    ) -> Loss:
        """The critic's own loss: `adv`, and the penalties by name.

        Args:
            real: [N, C, H, W]; `fake` likewise, and detached from its generator.
            valid: where the two hold data; of pairs, where both do. The discriminator sees 0
                elsewhere, and each logit is weighted by the share of its place that holds data.
            real_first: whether the discriminator sees real images before fakes. BatchNorm's running
                averages depend on it; in the published code Pix2Pix and CycleGAN differ.

        Returns:
            Float32 scalars. The scores carry no gradient: the mean logit of `real` and of `fake`,
            and `accuracy`, the share of places at which the real image's logit is the higher.

        Raises:
            ConfigError: there are augmentations, but some places hold no data.
        """
        self._check_valid(valid)
        images = len(real) * self.processes
        self.clock.images += images
        real, fake = without_invalid(real, valid.real), without_invalid(fake, valid.fake)
        seen_real, seen_fake = self._seen(real, condition), self._seen(fake, condition)
        if self.pool is not None:
            seen_fake, valid = self._from_pool(self.pool, seen_fake, valid)
            fake = seen_fake if condition is None else fake
        real_logits, fake_logits = self._both_logits(
            self.augmentations(seen_real), self.augmentations(seen_fake), real_first
        )
        objective = self._with_labels(self.objective, condition)
        losses = [
            objective.d_loss(r, f, valid) for r, f in zip(real_logits, fake_logits, strict=True)
        ]
        terms = {"adv": Term(_mean(losses))}
        for name, penalty in self.regularizers.items():
            if int(self.clock.updates) % penalty.every == 0:
                inside = {"real": valid.real, "fake": valid.fake}.get(penalty.at, valid.either)
                judge = self._judge(condition, inside, classes=penalty.of_labels)
                value = self._with_labels(penalty, condition)(judge, real, fake)
                terms[name] = Term(value, penalty.weight * penalty.every)
        real_logits, fake_logits = _realness(real_logits), _realness(fake_logits)
        real_logits, fake_logits = _detached(real_logits), _detached(fake_logits)
        for augmentation in self._augmentations():
            augmentation.observe(real_logits, fake_logits, images)
        right = [(r > f).float() for r, f in zip(real_logits, fake_logits, strict=True)]
        scores = {
            "real": _mean(real_logits, valid.real),
            "fake": _mean(fake_logits, valid.fake),
            "accuracy": _mean(right, valid.both),
        }
        return Loss(terms, scores)

    def g_loss(
        self,
        real: Tensor,
        fake: Tensor,
        condition: Tensor | None = None,
        *,
        valid: Valid = ALL,
    ) -> dict[str, Term]:
        """The loss of the generator of `fake` [N, C, H, W]: `adv`, and `features` if it is used.

        The discriminator's own weights get no gradient.

        Args:
            valid: as in `d_loss`.

        Returns:
            Float32 scalars by name.
        """
        self._check_valid(valid)
        real, fake = without_invalid(real, valid.real), without_invalid(fake, valid.fake)
        with _frozen(self.discriminator):
            if not (self.objective.needs_real_for_g or self.feature_matching):
                seen = self.augmentations(self._seen(fake, condition))
                fake_logits, fake_features = self._logits_and_features(seen)
                real_logits: list[Tensor | None] = [None] * len(fake_logits)
                real_features: list[Tensor] = []
            else:
                # Side by side, both are augmented alike.
                pair = self.augmentations(
                    torch.cat([self._seen(fake, condition), self._seen(real, condition)], 1)
                )
                seen_fake, seen_real = pair.chunk(2, 1)
                fake_logits, fake_features = self._logits_and_features(seen_fake)
                with torch.no_grad():
                    logits, real_features = self._logits_and_features(seen_real)
                real_logits = [*logits]
            objective = self._with_labels(self.objective, condition)
            losses = [
                objective.g_loss(r, f, valid) for r, f in zip(real_logits, fake_logits, strict=True)
            ]
        terms = {"adv": Term(self._of_the_best(losses, _realness(fake_logits), valid.fake))}
        if self.feature_matching:
            by_place = condition is not None
            distance = FEATURES * _mean(
                [
                    _feature_distance(f, r, by_place, valid)
                    for f, r in zip(fake_features, real_features, strict=True)
                ]
            )
            terms["features"] = Term(distance, self.feature_matching)
        return terms

    def tensors_to_reduce(self) -> list[Tensor]:
        """The tensors to average over processes before `after_update`."""
        return [tensor for part in self._augmentations() for tensor in part.tensors_to_reduce()]

    @torch.no_grad()
    def after_update(self) -> None:
        """To be called when the discriminator's weights have changed."""
        self.clock.updates += 1
        for augmentation in self._augmentations():
            augmentation.after_update()
        self.objective.after_update(self.discriminator)

    def _check_valid(self, valid: Valid) -> None:
        if len(self.augmentations) and any(each is not None for each in valid):
            raise ConfigError(
                "critic.augment: images in which some places hold no data cannot be augmented"
            )

    def _from_pool(self, pool: ImagePool, seen_fake: Tensor, valid: Valid) -> tuple[Tensor, Valid]:
        """The fakes that the pool returns for new ones, and where they hold data."""
        channels = seen_fake.shape[1]
        if valid.fake is None and all(len(image) == channels for image in pool.images):
            return pool.query(seen_fake), valid
        # Some batches have images without data, and others none.
        pool.images = [
            image if len(image) > channels else torch.cat([image, torch.ones_like(image[:1])])
            for image in pool.images
        ]
        inside = torch.ones_like(seen_fake[:, :1]) if valid.fake is None else valid.fake
        both = pool.query(torch.cat([seen_fake, inside], 1))
        return both[:, :-1], valid._replace(fake=both[:, -1:])

    def _augmentations(self) -> list[Augmentation]:
        return [cast(Augmentation, part) for part in self.augmentations]

    def _both_logits(
        self, real: Tensor, fake: Tensor, real_first: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The logits of two batches, computed in one forward pass if that only changes the time."""
        if self.discriminator.mixes_images:
            if real_first:
                return self._logits_and_features(real)[0], self._logits_and_features(fake)[0]
            fake_logits = self._logits_and_features(fake)[0]
            return self._logits_and_features(real)[0], fake_logits
        scales = [
            logits.chunk(2) for logits in self._logits_and_features(torch.cat([real, fake]))[0]
        ]
        return [both[0] for both in scales], [both[1] for both in scales]

    def _logits_and_features(self, seen: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Logits per scale as the objective takes them, in at least float32, and features."""
        output = self.discriminator(seen)
        logits = _float32(output.logits)
        return logits if self.objective.of_labels else _realness(logits), output.features

    def _seen(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """The input of the discriminator."""
        if condition is None or self.discriminator.classes:
            return image
        return torch.cat([condition, image], 1)

    def _with_labels(self, part: OfLabels, condition: Tensor | None) -> OfLabels:
        """An objective or a penalty for images with this condition."""
        classes = self.discriminator.classes
        return (
            part if condition is None or not classes else part.with_labels(condition[:, :classes])
        )

    def _judge(
        self, condition: Tensor | None, valid: Tensor | None, *, classes: bool = False
    ) -> Judge:
        """The logits of images, for a penalty; see `compute_penalties_by`.

        Only what holds data is varied, and each logit has the weight of its place, such that a
        penalty is as large as that of an image which ends there.
        """
        (discriminator,) = self._precise

        def judge(image: Tensor) -> list[Tensor]:
            seen = self._seen(without_invalid(image, valid), condition)
            logits = _float32(discriminator(self.augmentations(seen)).logits)
            logits = logits if classes else _realness(logits)
            return logits if valid is None else [_weighted(each, valid) for each in logits]

        return judge

    def _of_the_best(
        self, losses: Sequence[Tensor], fake_logits: Sequence[Tensor], valid: Tensor | None
    ) -> Tensor:
        """The mean of losses [N] over scales and over the images that a generator learns from."""
        if self.top_k is None:
            return _mean(losses)
        ratings = torch.stack([mean_per_image(each, valid) for each in fake_logits]).mean(0)
        done = min(1.0, int(self.clock.images) / self.top_k.images)
        share = 1 - done * (1 - self.top_k.share)
        best = ratings.topk(math.ceil(share * len(ratings))).indices
        return torch.stack([*losses]).mean(0)[best].mean()


def _weighted(logits: Tensor, valid: Tensor) -> Tensor:
    """Logits whose squared sum, divided by their number, is that of the ones with data."""
    weights = shares(valid, logits)
    return logits * weights / weights.mean((1, 2, 3), keepdim=True).clamp(min=1e-8).sqrt()


def _realness(logits: Sequence[Tensor]) -> list[Tensor]:
    """Logits [N, 1, h, w] of being real, of those of classes, of which the last is for fakes."""
    return [
        each if each.shape[1] == 1 else each[:, :-1].logsumexp(1, keepdim=True) - each[:, -1:]
        for each in logits
    ]


def _feature_distance(fake: Tensor, real: Tensor, by_place: bool, valid: Valid) -> Tensor:
    """The mean absolute difference of two maps [N, C, h, w], or of their means [C]."""
    fake, real = at_least_float32(fake), at_least_float32(real)
    if by_place:
        return _mean([(fake - real).abs()], valid.both)
    return (_channel_means(fake, valid.fake) - _channel_means(real, valid.real)).abs().mean()


def _channel_means(values: Tensor, valid: Tensor | None) -> Tensor:
    if valid is None:
        return values.mean((0, 2, 3))
    weights = shares(valid, values)
    return (values * weights).sum((0, 2, 3)) / weights.sum().clamp(min=1e-8)


def _mean(per_scale: Sequence[Tensor], valid: Tensor | None = None) -> Tensor:
    """The mean over scales of the mean over all places, or over those with data."""
    means = [v.mean() if valid is None else mean_per_image(v, valid).mean() for v in per_scale]
    return torch.stack(means).mean()


def _detached(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach() for tensor in tensors]


def _float32(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [at_least_float32(tensor) for tensor in tensors]


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Keep autograd from computing gradients of the network's weights within this block."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)
