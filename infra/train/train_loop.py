"""The training: transformers' Trainer, told what a batch is, what is learnt of it, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer, TrainingArguments

from train_batches import order
from train_head import Head
from train_optimizer import MasterAdamW
from train_tokens import Sample

_WIDTH = 8
"""Rows are as wide as a multiple of it."""


class Collator:
    """Makes a batch of samples: rows with padding behind them, or one row of all.

    `places` marks where a token of an answer is told from what stands before it, `labels` are these tokens.

    Args:
        packing: all in one row; each token counts its place from its own text on, by which attention tells them apart.
        pad: id of a token that is never looked at.
    """

    def __init__(self, *, packing: bool, pad: int) -> None:
        self._packing = packing
        self._pad = pad

    def __call__(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        rows = [torch.tensor(each.prompt + each.answer) for each in samples]
        places = [self._places(each) for each in samples]
        batch = {"labels": torch.tensor([token for each in samples for token in each.answer])}
        if self._packing:
            batch["input_ids"] = torch.cat(rows).unsqueeze(0)
            batch["position_ids"] = torch.cat([torch.arange(len(row)) for row in rows]).unsqueeze(0)
            batch["places"] = torch.cat(places).unsqueeze(0)
            return batch
        width = -(-max(map(len, rows)) // _WIDTH) * _WIDTH
        batch["input_ids"] = torch.stack([functional.pad(row, (0, width - len(row)), value=self._pad) for row in rows])
        batch["attention_mask"] = torch.stack(
            [functional.pad(torch.ones_like(row), (0, width - len(row))) for row in rows]
        )
        batch["places"] = torch.stack([functional.pad(row, (0, width - len(row))) for row in places])
        return batch

    @staticmethod
    def _places(sample: Sample) -> torch.Tensor:
        marked = torch.zeros(len(sample), dtype=torch.bool)
        marked[len(sample.prompt) - 1 : -1] = True
        return marked


class ByLength(torch.utils.data.Sampler):  # type: ignore[misc]  # as in train_optimizer
    """The order of an epoch: see `train_batches.order`."""

    def __init__(self, samples: Sequence[Sample], batch: int, seed: int) -> None:
        self._lengths = [len(each) for each in samples]
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(order(self._lengths, self._batch, self._seed, self._epoch))


class AnswerTrainer(Trainer):  # type: ignore[misc]  # as in train_optimizer
    """A Trainer that learns answers only.

    Args:
        watch: looks at the dev texts, and is told of each step.
        rate: the share of the highest learning rate, by the number of steps done.
        negatives, held: see `train_head.Head`.
        tokens: ids that were computed so far on this device, padding included; `answers`: those that were learnt.
    """

    loss_is_scaled_for_ga = False

    def __init__(
        self,
        model: Any,
        arguments: TrainingArguments,
        samples: Sequence[Sample],
        collator: Collator,
        rate: Callable[[int], float],
        watch: Any,
        negatives: int,
        held: Iterable[int],
    ) -> None:
        self._rate = rate
        self._watch = watch
        self.tokens = self.answers = 0
        self._head = Head(model, negatives, held)
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=list(samples),
            data_collator=collator,
            callbacks=[watch],
        )
        # Its lines are told in our own words.
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, train_dataset: Any = None) -> ByLength:
        step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return ByLength(self.train_dataset, step, self.args.seed)

    def create_optimizer(self, model: Any = None) -> MasterAdamW:
        """AdamW with copies in fp32."""
        lent = [each for each in self.model.parameters() if each.requires_grad]
        made = MasterAdamW(lent, lr=self.args.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
        self.optimizer = made
        return made

    def _load_from_checkpoint(self, *_: Any, **__: Any) -> None:
        """Nothing: the optimiser's state holds the weights in full. peft would put others in fp32 in their place."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """The rate as it was told, whatever `arguments` say."""
        # A function, since the state of an object would be saved, and the clock with it.
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: self._rate(step))
        return self.lr_scheduler

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """A look at the dev texts, in place of what the Trainer would compute of a dataset."""
        self.control.should_training_stop |= self._watch.look(self.state)
        return {}

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean over the answers' tokens of the log loss."""
        labels, places = inputs.pop("labels"), inputs.pop("places")
        loss, logits = self._head.loss(model, inputs, places, labels)
        self.tokens += inputs["input_ids"].numel()
        self.answers += labels.numel()
        return (loss, {"logits": logits}) if return_outputs else loss

    @torch.no_grad()  # type: ignore[untyped-decorator]  # as in train_optimizer
    def held_loss(self, samples: Sequence[Sample], batch: int) -> float:
        """The loss of texts that are not trained on, over all of their tokens."""
        self.model.eval()
        seen = self.tokens, self.answers
        lost = 0.0
        ordered = sorted(samples, key=len)
        for start in range(0, len(ordered), batch):
            part = ordered[start : start + batch]
            given = self._prepare_inputs(self.data_collator(part))
            learnt = given["labels"].numel()
            lost += self.compute_loss(self.model, given).item() * learnt
        self.model.train()
        self.tokens, self.answers = seen
        return lost / sum(len(each.answer) for each in samples)
