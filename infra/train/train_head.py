"""The head of a model and its loss, both of what is learnt only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import functional


class Head:
    """Computes the loss of answers without the rest of the head's work.

    A head reads the places of the answers only. In training it also leaves out most of a large vocabulary: the sum over
    all tokens, by which a probability is divided, is estimated (sampled softmax: Jean et al., On Using Very Large
    Target Vocabulary for Neural Machine Translation, 2015). Tokens that the texts hold are counted each, since one of
    them is what a model says wrongly; others are drawn by lot for each pass, and stand for the rest.

    Args:
        model: whose head is made to read so. Outside of `loss` it is what it was.
        negatives: others that are drawn; 0 for the whole vocabulary.
        held: ids of all texts that are trained on.
    """

    def __init__(self, model: Any, negatives: int, held: Iterable[int]) -> None:
        self._layer = model.get_output_embeddings()
        self._whole = self._layer.forward
        self._negatives = negatives
        weight = self._layer.weight
        self._known = torch.tensor(sorted(set(held)), dtype=torch.long, device=weight.device)
        ids = torch.arange(len(weight), device=weight.device)
        self._rest = ids[~torch.isin(ids, self._known)]
        self._places: torch.Tensor | None = None
        self._ids: torch.Tensor | None = None
        self._layer.forward = self._read

    def loss(
        self, model: Any, inputs: dict[str, torch.Tensor], places: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean log loss of the answers' tokens, and their logits.

        Args:
            places: marks, in the shape of `input_ids`, the places that tell a token of an answer.
            labels: these tokens, in their order.
        """
        known = self._known
        sampled = model.training and 0 < self._negatives < len(self._rest)
        self._places = places
        if sampled:
            others = self._drawn()
            self._ids, labels = torch.cat([known, others]), torch.searchsorted(known, labels)
        try:
            logits = model(**inputs).logits[0].float()
        finally:
            self._places = self._ids = None
        if sampled:
            logits[:, len(known) :] += math.log(len(self._rest) / len(others))
        return functional.cross_entropy(logits, labels), logits

    def _drawn(self) -> torch.Tensor:
        """Tokens that no text holds, each once; at least one."""
        # Drawn on the CPU, whose generator is saved with the state of a training.
        drawn = torch.unique(torch.randint(len(self._rest), (self._negatives,)))
        return self._rest[drawn.to(self._rest.device)]

    def _read(self, hidden: torch.Tensor) -> torch.Tensor:
        if self._places is None:
            return self._whole(hidden)
        hidden = hidden[self._places].unsqueeze(0)
        if self._ids is None:
            return self._whole(hidden)
        bias = self._layer.bias
        return functional.linear(hidden, self._layer.weight[self._ids], None if bias is None else bias[self._ids])
