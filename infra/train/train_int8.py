"""Linear layers with a LoRA whose frozen weights are multiplied in int8, where a CPU has no quicker way.

The weights of the base do not change, so that they are rounded once: by rows for the way forward, by columns for the
way back. What is multiplied with them is rounded each time, by rows, that is, for each token alone, and each has a
scale of its own (vector-wise quantisation: Dettmers et al., LLM.int8(), 2022; on the way back too: Wortsman et al.,
SwitchBack, 2023). The adapter itself stays in fp32. A CPU with VNNI multiplies int8 about four times as fast as fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import nn

_MOST = 127
_LEAST = 1e-12
"""The scale of a row of zeros, which must not be nil."""


def use_int8(model: Any) -> None:
    """Let every linear layer with an adapter multiply its frozen weights in int8; their fp32 form is let go.

    Args:
        model: from `get_peft_model`, in fp32, on a CPU.
    """
    remember = _Remembered()
    for layer in model.modules():
        if type(layer) is not Linear or not isinstance(layer.base_layer, nn.Linear):
            continue
        layer.frozen = _Frozen(layer.base_layer, remember)
        layer.__class__ = _Int8Linear
        # Type and width are still asked for; a slice of the old weights would keep all of them.
        layer.base_layer.weight = nn.Parameter(layer.base_layer.weight.new_empty(0, layer.in_features), False)


def by_rows(given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix as int8, and the scale of each row.

    Args:
        given: `(n, k)`.

    Returns:
        Rounded `(n, k)`, and scales `(n, 1)`: given ≈ rounded · scales.
    """
    # Two passes, each six times as fast as the one of `aminmax`.
    low, high = given.amin(dim=1, keepdim=True), given.amax(dim=1, keepdim=True)
    scales = torch.maximum(high, low.neg_()).clamp_min_(_LEAST).div_(_MOST)
    return torch.mul(given, scales.reciprocal()).round_().to(torch.int8), scales


def _scaled(product: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    # Converted by itself: a product of int32 and fp32 takes three times as long.
    return product.to(torch.float32).mul_(columns).mul_(rows)


class _Remembered:
    """What was rounded last: several layers read the same."""

    def __init__(self) -> None:
        self._of: tuple[torch.Tensor, int] | None = None
        self._found: tuple[torch.Tensor, torch.Tensor] | None = None

    def rows(self, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self._found is None or self._of is None or self._of[0] is not given or self._of[1] != given._version:
            self._of, self._found = (given, given._version), by_rows(given.reshape(-1, given.shape[-1]))
        return self._found


class _Frozen:
    """The weights of a layer, rounded."""

    def __init__(self, layer: nn.Linear, remembered: _Remembered) -> None:
        weight = layer.weight.detach()
        rows, row_scales = by_rows(weight)
        columns, column_scales = by_rows(weight.t())
        self._forth, self._forth_scales = rows.t().contiguous(), row_scales.t().contiguous()
        self._back, self._back_scales = columns.t().contiguous(), column_scales.t().contiguous()
        self._bias = None if layer.bias is None else layer.bias.detach()
        self._remembered = remembered

    def forth(self, given: torch.Tensor) -> torch.Tensor:
        """What the layer makes of it, in two dimensions."""
        rounded, scales = self._remembered.rows(given)
        made = _scaled(torch._int_mm(rounded, self._forth), self._forth_scales, scales)
        return made if self._bias is None else made.add_(self._bias)

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient of what it was given, in two dimensions."""
        rounded, scales = by_rows(gradient)
        return _scaled(torch._int_mm(rounded, self._back), self._back_scales, scales)


class _Int8Linear(Linear):  # type: ignore[misc]  # peft is not there where types are checked
    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        (name,) = self.active_adapters
        first, second = self.lora_A[name].weight, self.lora_B[name].weight
        return _Product.apply(x, first, second, self.frozen, self.scaling[name])


class _Product(torch.autograd.Function):  # type: ignore[misc]  # torch is not there where types are checked
    """frozen(x) + scaling · x Aᵀ Bᵀ, without a pass over its whole for the sum."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, first: torch.Tensor, second: torch.Tensor, frozen: _Frozen, scaling: float
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        narrow = flat @ first.t()
        made = frozen.forth(x).addmm_(narrow, second.t(), alpha=scaling)
        ctx.save_for_backward(flat, narrow, first, second)
        ctx.frozen, ctx.scaling, ctx.shape = frozen, scaling, x.shape
        return made.view(*x.shape[:-1], made.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, narrow, first, second = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, gradients[0].shape[-1])
        narrowed = (gradient @ second).mul_(ctx.scaling)
        of_second = (gradient.t() @ narrow).mul_(ctx.scaling)
        of_first = narrowed.t() @ flat
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = ctx.frozen.back(gradient).addmm_(narrowed, first).view(ctx.shape)
        return of_x, of_first, of_second, None, None
