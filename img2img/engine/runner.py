"""A generator on one device: the fastest backend that is verified against float32."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from img2img.engine.backends import Backend, backend_class
from img2img.engine.backends.eager import Eager
from img2img.engine.backends.winograd import Winograd
from img2img.engine.convolutions import gains
from img2img.errors import ConfigError
from img2img.networks import Generator
from img2img.networks.smoothing import unsmoothed
from img2img.runtime.devices import (
    PrecisionName,
    is_out_of_memory,
    resolve_precision,
    synchronize,
)

Say = Callable[[str], None]

# Maximum difference that a lower precision may make, in grey levels of 255: on average, and at the
# 99th percentile. docs/inference.md has the differences measured on trained models.
MEAN_BOUND, TAIL_BOUND = 1.5, 6.0
# Number of images that are compared with float32, and the longer side that they are reduced to.
VERIFIED_IMAGES, VERIFIED_SIZE = 4, 128
# Number of first batches whose times do not count.
_WARMING_UP = 3
# Seconds of work ahead from which a backend is worth the time it takes to prepare; best first.
PREPARING_PAYS = {"openvino": 45.0, "compile": 300.0}


@dataclass(frozen=True)
class Deviation:
    """How far a result is from another, in grey levels of 255."""

    mean: float
    tail: float
    """The 99th percentile."""

    @classmethod
    def between(cls, a: Tensor, b: Tensor) -> "Deviation":
        """The deviation of two images or batches in [-1, 1]; NaN counts as 255 levels."""
        apart = ((a - b).float().abs() * 127.5).nan_to_num(nan=255).flatten()
        rank = max(1, round(0.99 * apart.numel()))
        return cls(apart.mean().item(), apart.kthvalue(rank).values.item())

    @property
    def small(self) -> bool:
        """Whether it is within the bounds."""
        return self.mean <= MEAN_BOUND and self.tail <= TAIL_BOUND

    def __str__(self) -> str:
        return f"{self.mean:.2f} grey levels on average, {self.tail:.1f} at the 99th percentile"


class Runner:
    """Runs a generator on one device.

    With `precision` `auto`, the first images also run in eager float32. A backend that differs too
    much from that is dropped, and `say` is called. Images of more than 8 bits run in float32.

    Args:
        generator: set up for inference, in float32.
        precision: `auto`: the fastest that the device supports natively.
        backend: `auto`: `winograd` in float32 on a CPU, for networks that gain by it, otherwise
            eager; both start at once. In long jobs OpenVINO, if it is installed and there is no
            GPU, or torch.compile, if there is a compiler. If it is a backend object, as for an
            exported model, no other is used, and `generator` has no weights.
        say: called with a sentence that the user should see.

    Raises:
        ConfigError: the backend is unknown, not installed, or does not support the device or
            precision. (`compile` without a compiler is not an error: `say` is called, and `eager`
            runs.)
    """

    def __init__(
        self,
        generator: Generator,
        device: torch.device,
        *,
        precision: Literal["auto"] | PrecisionName = "auto",
        backend: str | Backend = "auto",
        say: Say,
    ) -> None:
        self.device = device
        self.precision = resolve_precision(precision, device)
        self._generator = generator
        self._say = say
        self._any_backend = backend == "auto"
        self._may_change = False
        self._exact: Eager | None = None
        self._eager: Eager | None = None
        self._to_verify = self._images_ahead = self._batches = 0
        self.is_exported = isinstance(backend, Backend)
        freely = precision == "auto" or (self._any_backend and self.precision == "fp32")
        self._deep_exactly = freely and not self.is_exported
        if isinstance(backend, Backend):
            self.backend, self._fast = "exported", backend
            return
        self.backend = self._chosen(backend)
        try:
            self._fast = self._made(self.backend, self.precision)
        except ConfigError:
            if precision != "auto" or self.precision == "fp32":
                raise
            self.precision = "fp32"  # supported by every backend
            self._fast = self._made(self.backend, self.precision)
        # Winograd verifies each layer when it times it.
        verified = precision != "auto" or isinstance(self._fast, Winograd)
        self._to_verify = 0 if verified or self._fast is self._exact else VERIFIED_IMAGES

    @property
    def exact(self) -> Eager:
        """The generator in eager float32."""
        if self._exact is None:
            self._exact = Eager(self._generator, self.device, "fp32")
        return self._exact

    def network(self, deep: bool) -> Generator:
        """The network that PyTorch runs parts of such images with; an exported model's layout."""
        if self.is_exported:
            return self._generator
        if deep and self._deep_exactly:
            return self.exact.network
        if isinstance(self._fast, Eager):
            return self._fast.network
        if self._eager is None:
            name = self._chosen("auto")
            made = self._made(name, self.precision)
            assert isinstance(made, Eager)
            self._eager = made
        return self._eager.network

    def expect(self, images: int) -> None:
        """Announce how many images will come, so that a faster backend is prepared for many."""
        self._images_ahead = images
        self._may_change = self._any_backend and isinstance(self._fast, Eager)

    def run(self, x: Tensor, *, deep: bool = False) -> Tensor:
        """Translate float32 [N, C_in, H, W] in [-1, 1] on the device to [N, C_out, H, W].

        Args:
            deep: whether the images have more than 8 bits.
        """
        if deep and self._deep_exactly:
            return self.exact.run(x)
        self.verify(x)
        start = time.perf_counter()
        y = self._run(x)
        if self._may_change:
            synchronize(self.device)
            self._consider_another(x, y, time.perf_counter() - start)
        return y

    def _chosen(self, name: str) -> str:
        """The backend to begin with; the named one must be there."""
        if name == "auto":
            on_cpu = (self.device.type, self.precision) == ("cpu", "fp32")
            able = on_cpu and Winograd.missing() is None and gains(self._generator)
            return "winograd" if able else "eager"
        missing = backend_class(name).missing()
        if missing and name == "compile":
            self._say(f"running uncompiled: {missing}")
            return "eager"
        if missing:
            raise ConfigError(f"backend {name}: {missing}")
        return name

    def _made(self, backend: str, precision: PrecisionName) -> Backend:
        if backend == "eager" and precision == "fp32":
            return self.exact
        return backend_class(backend)(self._generator, self.device, precision)

    def _run(self, x: Tensor) -> Tensor:
        try:
            return self._fast.run(x)
        except Exception as error:
            if self.backend != "compile" or is_out_of_memory(error):
                raise
            self._say(_going_on_without("compile", error))
        self.backend, self._fast = "eager", self._made("eager", self.precision)
        return self._fast.run(x)

    def verify(self, x: Tensor) -> None:
        """Compare the first images with float32, and fall back to it if they differ too much.

        Args:
            x: images [N, C, H, W] in [-1, 1] on the device, of any size.
        """
        if not self._to_verify:
            return
        compared = min(self._to_verify, len(x))
        # Compiling for another size would take a long time.
        part = x if self.backend == "compile" else reduced(x[:compared], self._generator)
        with unsmoothed(self._generator):
            exact = self.exact.run(part[:compared])
            difference = Deviation.between(self._run(part)[:compared], exact)
        self._to_verify -= compared
        if not difference.small:
            self._say(
                f"{self.backend} in {self.precision} differs from float32 by {difference};"
                " continuing in float32"
            )
            self._to_verify, self._may_change, self._any_backend = 0, False, False
            self.backend, self.precision, self._fast = "eager", "fp32", self.exact

    def _consider_another(self, x: Tensor, y: Tensor, seconds: float) -> None:
        """Change to a faster backend if enough images are ahead to be worth preparing it.

        Args:
            x, y: input and result of the current backend.
            seconds: how long it took.
        """
        self._images_ahead = max(0, self._images_ahead - len(x))
        self._batches += 1
        if self._batches <= _WARMING_UP:
            return
        self._may_change = False
        ahead = self._images_ahead * seconds / len(x)
        name = self._worth_preparing(ahead)
        if name is None:
            return
        self._say(
            f"preparing {name} for the {ahead / 60:.0f} minutes of work ahead (`backend=eager`"
            " avoids this)"
        )
        try:
            other = self._made(name, self.precision)
            verified = Deviation.between(other.run(x), y).small
            start = time.perf_counter()
            other.run(x)
        except Exception as error:  # whatever the compiler or the runtime raises
            self._say(_going_on_without(name, error))
            return
        synchronize(self.device)
        gain = seconds / (time.perf_counter() - start)
        if verified and gain > 1:
            self._say(f"{name} is {gain:.2f} times as fast; continuing with it")
            self.backend, self._fast = name, other
        else:
            why = f"is only {gain:.2f} times as fast" if verified else "gives different results"
            self._say(f"{name} {why}; continuing without it")

    def _worth_preparing(self, ahead: float) -> str | None:
        """The backend worth preparing for this many seconds of work, if one is installed."""
        for name, pays in PREPARING_PAYS.items():
            if ahead < pays:
                continue
            if name == "openvino" and self.device.type != "cpu":
                continue
            missing = backend_class(name).missing()
            if missing is None:
                return name
            if name == "compile":
                self._say(f"a job of this length would be faster if compiled, but {missing}")
        return None


def _going_on_without(backend: str, error: Exception) -> str:
    reason = str(error).strip().partition("\n")[0]
    return f"{backend} failed ({reason}); continuing without it"


def reduced(x: Tensor, generator: Generator) -> Tensor:
    """Images [N, C, H, W] reduced to a size that runs quickly and that the generator accepts.

    Not cropped, because a crop may be flat, and normalisation would amplify its noise.
    """
    multiple, size = generator.size_multiple, x.shape[2:]
    factor = min(1.0, VERIFIED_SIZE / max(size))
    least = -(-generator.min_size // multiple)
    height, width = (max(least, round(factor * side / multiple)) * multiple for side in size)
    return x if (height, width) == size else F.adaptive_avg_pool2d(x, (height, width))
