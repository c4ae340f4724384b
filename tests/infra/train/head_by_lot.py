"""Prints what the trainer's head makes of a vocabulary of a thousand, whole and by lot; run where torch is."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[3] / "infra" / "train"))

import torch
from torch.nn import functional

from train_head import Head

VOCABULARY, WIDTH, LOTS = 1000, 16, 400


class Model(torch.nn.Module):  # type: ignore[misc]  # torch is not there where types are checked
    """Tokens to rows, and rows to tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.head = torch.nn.Linear(WIDTH, VOCABULARY)

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.head

    def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(self.rows(input_ids)))


def learnt(head: Head, model: Model) -> tuple[float, torch.Tensor, int]:
    """Loss, gradient of the rows, and how many tokens were counted."""
    model.zero_grad()
    loss, logits = head.loss(model, {"input_ids": TEXT}, PLACES, LABELS)
    loss.backward()
    return loss.item(), model.rows.weight.grad.clone(), logits.shape[-1]


torch.manual_seed(1)
TEXT = torch.randint(VOCABULARY, (1, 7))
PLACES = torch.tensor([[False, False, False, True, True, True, True]])
LABELS = torch.tensor([3, 5, int(TEXT[0, 1]), 999])
HELD = [*TEXT.flatten().tolist(), *LABELS.tolist(), *range(100, 120)]
model = Model()
with torch.no_grad():
    plain = functional.cross_entropy(model(TEXT).logits[PLACES], LABELS).item()
head = Head(model, 0, ())
whole, wanted, columns = learnt(head, model)
head = Head(model, 120, HELD)
lots = [learnt(head, model) for _ in range(LOTS)]
_, _, scarce = learnt(Head(model, 1, range(2, VOCABULARY)), model)
model.eval()
gradient = sum(each[1] for each in lots) / LOTS
print(
    json.dumps(
        {
            "plain": plain,
            "whole": whole,
            "lots": sum(each[0] for each in lots) / LOTS,
            "alike": functional.cosine_similarity(gradient.flatten(), wanted.flatten(), dim=0).item(),
            "counted": {
                "whole": columns,
                "lots": lots[0][2],
                "scarce": scarce,
                "evaluated": learnt(head, model)[2],
            },
            "outside": list(model(TEXT).logits.shape),
        }
    )
)
