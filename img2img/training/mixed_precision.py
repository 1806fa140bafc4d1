"""The precision of a training step: float32, autocast, or bfloat16 working copies.

Weights, optimizers and averages are always float32. Only the networks compute in lower precision:

- On CUDA, autocast, with loss scaling for float16.
- On a CPU with bfloat16 units, autocast would leave most of their speed unused: it converts weights
  in each call, and some layers not at all. Instead, the networks compute with bfloat16 copies of
  their convolutions, which are refreshed from the float32 weights after each update (mixed
  precision as in Micikevicius et al. 2018, section 3.1), and all tensors are channels_last.
"""

import copy
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from img2img.networks import DiscriminatorOutput, Generator
from img2img.networks.narrow import widen_narrow_maps
from img2img.networks.products import use_products
from img2img.networks.spectral import compute_in, iterate, normalized_weights
from img2img.runtime.devices import DTYPES
from img2img.training.methods.base import Method
from img2img.training.methods.critic import Critic


class MixedPrecision:
    """Computes gradients and updates of a method in one of the precisions.

    Args:
        method: its float32 networks are already on the device; the optimizers update these.
        precision: `fp32`, `bf16` or `fp16`; the device must support it.
        device: where the networks are.
    """

    def __init__(self, method: Method, precision: str, device: torch.device) -> None:
        self.dtype = DTYPES[precision]
        self.device = device
        low = precision != "fp32"
        self._autocast = low and device.type != "cpu"
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        if low:
            # Copies then have the layout of their masters: converting goes straight through both.
            _use_channels_last(method)
        self.method = _working_copy(method, self.dtype) if low and not self._autocast else method
        """The method to compute losses with."""
        # Penalties reach the masters directly; a weight that has no copy is its own master.
        self._trained = {group: _trained(group, method, self.method) for group in method.groups}
        self._copies = {
            group: [
                (master, working)
                for master, working in zip(
                    method.parameters_of(group), self.method.parameters_of(group), strict=True
                )
                if master is not working
            ]
            for group in method.groups
        }
        for copies in self._copies.values():
            for master, working in copies:
                if working.requires_grad:
                    hand_over = partial(_hand_over, master)
                    working.register_post_accumulate_grad_hook(hand_over)  # type: ignore[no-untyped-call]
        self._normalized = {
            group: [w for name in names for w in normalized_weights(method.networks[name])]
            for group, names in method.groups.items()
        }
        self._refresh()

    def context(self) -> AbstractContextManager[Any]:
        """The context in which to compute losses."""
        if self._autocast:
            return torch.autocast(self.device.type, self.dtype)
        return nullcontext()

    @property
    def scales_losses(self) -> bool:
        """Whether losses are scaled, in which case gradients overflow now and then."""
        return self._scaler.is_enabled()

    def backward(self, group: str, loss: Tensor, share: float = 1.0) -> None:
        """Add `share` times the gradients of a group's loss to those of its float32 networks.

        Networks of other groups that take part in the loss get none.
        """
        scaled = self._scaler.scale(loss if share == 1 else share * loss)
        torch.autograd.backward(scaled, inputs=self._trained[group])

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """If losses are scaled, scale a group's gradients back."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Update one group, and clear its gradients."""
        self._scaler.step(optimizer)
        optimizer.zero_grad(set_to_none=True)

    def follow_update(self, group: str) -> None:
        """Update what is derived from a group's weights: spectral norms and working copies."""
        for weight in self._normalized[group]:
            iterate(weight)
        self._refresh(group)

    def abandon_step(self) -> None:
        """Give up a step before all its updates have been made."""
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.scales_losses)
        if self.scales_losses:
            scaler.load_state_dict(self._scaler.state_dict())
        self._scaler = scaler  # one that has not begun

    def end_step(self) -> None:
        """Adapt the loss scale after all updates of a step."""
        self._scaler.update()

    @torch.no_grad()
    def _refresh(self, *groups: str) -> None:
        """Update the working copies of these groups, or of all groups if none is named."""
        for group in groups or self._copies:
            for master, working in self._copies[group]:
                working.copy_(master)

    def state_dict(self) -> dict[str, Any]:
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state and self._scaler.is_enabled():  # neither, if it is or was another precision
            self._scaler.load_state_dict(state)
        self._refresh()


def _trained(group: str, *methods: Method) -> list[nn.Parameter]:
    """The weights of a group that take gradients, in some methods, each once."""
    weights = dict.fromkeys(p for method in methods for p in method.parameters_of(group))
    return [weight for weight in weights if weight.requires_grad]


def _working_copy(method: Method, dtype: torch.dtype) -> Method:
    """A copy of a method with weights in `dtype`; it shares normalisation and the critics' memory.

    Weights with spectral normalisation are shared too, and normalised in float32. Inputs and
    outputs of networks are float32, so that losses stay in float32.
    """
    shared = [method.teachers, *(module for module in method.modules() if _is_shared(module))]
    remembered = [part for critic in method.critics.values() for part in critic.shared_state]
    working = copy.deepcopy(method, {id(part): part for part in [*shared, *remembered]})
    for name, critic in method.critics.items():
        working.critics[name].compute_penalties_by(critic)
    for module in working.networks.modules():
        if not _is_shared(module):
            for weight in module.parameters(recurse=False):
                weight.data = weight.data.to(dtype)
    for network in working.networks.values():
        module = network.discriminator if isinstance(network, Critic) else network
        module.register_forward_pre_hook(partial(_cast_inputs, dtype), with_kwargs=True)
        module.register_forward_hook(_cast_output)
        if isinstance(module, Generator):
            module.compute_dtype = dtype
    compute_in(working.networks, dtype)
    use_products(working.networks)
    widen_narrow_maps(working.networks)
    return working


def _is_shared(module: nn.Module) -> bool:
    norms = nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm | nn.LayerNorm
    return isinstance(module, norms | ParametrizationList)


def _hand_over(master: Tensor, working: Tensor) -> None:
    """Add the gradient of a working copy to the gradient of its float32 weight."""
    assert working.grad is not None
    if master.grad is None:
        # In the master's own memory layout: fused optimizers walk both side by side.
        master.grad = torch.empty_like(master).copy_(working.grad)
    else:
        master.grad += working.grad
    working.grad = None


def _use_channels_last(method: Method) -> None:
    """Use the memory layout that matrix units need, unless a layer undoes it.

    On a GPU, InstanceNorm undoes it.
    """
    for network in method.networks.values():
        on_cpu = all(weight.device.type == "cpu" for weight in network.parameters())
        if on_cpu or not any(isinstance(m, nn.InstanceNorm2d) for m in network.modules()):
            network.to(memory_format=torch.channels_last)


def _cast_inputs(
    dtype: torch.dtype, _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    return _cast(inputs, dtype), _cast(named, dtype)


def _cast_output(_: nn.Module, __: Any, output: Any) -> Any:
    return _cast(output, torch.float32)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """A value with its floating-point tensors, also in lists and the like, in another type."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, DiscriminatorOutput):
        return DiscriminatorOutput(_cast(value.logits, dtype), _cast(value.features, dtype))
    if type(value) in (list, tuple):
        return type(value)(_cast(each, dtype) for each in value)
    if type(value) is dict:
        return {name: _cast(each, dtype) for name, each in value.items()}
    return value
