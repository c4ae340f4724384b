"""AdamW with a copy of each weight in fp32: a step is far smaller than what bf16 can tell from none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class MasterAdamW(torch.optim.AdamW):  # type: ignore[misc]  # torch is not there where types are checked
    """Steps on fp32 copies, which are written back to the weights that the model computes with.

    Args:
        lent: the weights of the model.
    """

    def __init__(self, lent: Iterable[torch.Tensor], **settings: Any) -> None:
        self._lent = list(lent)
        super().__init__([each.detach().float().clone() for each in self._lent], **settings)

    @property
    def _masters(self) -> list[torch.Tensor]:
        return [each for group in self.param_groups for each in group["params"]]

    @torch.no_grad()  # type: ignore[untyped-decorator]  # as above
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        masters = self._masters
        for master, weight in zip(masters, self._lent, strict=True):
            master.grad = None if weight.grad is None else weight.grad.float()
        found = super().step(closure)
        torch._foreach_copy_(self._lent, masters)
        for master in masters:
            master.grad = None
        return found

    def zero_grad(self, set_to_none: bool = True) -> None:
        for weight in self._lent:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "masters": self._masters}

    @torch.no_grad()  # type: ignore[untyped-decorator]  # as above
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "masters"})
        for master, weight, kept in zip(self._masters, self._lent, state_dict["masters"], strict=True):
            master.copy_(kept)
            weight.copy_(kept)
