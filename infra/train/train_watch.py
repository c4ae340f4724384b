"""What is done between two steps: a line of the log, a look at the dev texts, a state to go on from, an end."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback

from adapter_gguf import adapter_to_gguf
from convert_source import CannotConvert
from train_clock import Clock
from train_dev import Asker
from train_log import Log, worth
from train_options import Options
from train_out import Out
from train_tokens import Sample
from triplelake.errors import SetupError

_HELD = 32
"""Dev texts whose loss is computed at each look."""


class Watch(TrainerCallback):  # type: ignore[misc]  # as in train_optimizer
    """Watches over a training.

    Args:
        held: dev texts as token ids, for their loss.
        asker: asks about dev texts; None where F1 is not asked, and the loss decides.
        say: tells a person a line.
    """

    def __init__(
        self,
        options: Options,
        out: Out,
        clock: Clock,
        log: Log,
        held: Sequence[Sample],
        asker: Asker | None,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._out = out
        self._clock = clock
        self._log = log
        self._held = held[:_HELD]
        self._asker = asker
        self._say = say
        self._saved_at = clock.now()
        self._told_from = (0, 0.0)
        self._training_s = 0.0
        self._step_began = 0.0
        self.trainer: Any = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._step_began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._training_s += time.monotonic() - self._step_began
        over = self._clock.is_over()
        due = self._clock.is_due(state.global_step)
        idle = self._clock.now() - self._saved_at > 60 * self._options.save_minutes
        # One process decides: clocks differ a little, and the others would wait for a step that never comes.
        over, due, idle = _agreed([over, due, idle])
        control.should_log |= over or due
        # Of the last step a look is taken when all is over.
        control.should_evaluate |= due and not over and state.global_step < state.max_steps
        control.should_save |= idle or due
        control.should_training_stop |= over

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        tokens, seconds = self._told_from
        speed = (self.trainer.tokens - tokens) * args.world_size / max(1e-9, self._training_s - seconds)
        self._told_from = (self.trainer.tokens, self._training_s)
        self._log.add(
            {
                "step": state.global_step,
                "seconds": round(self._clock.seconds, 1),
                "epoch": round(state.epoch, 3),
                "loss": round(logs["loss"], 4),
                "grad_norm": round(logs["grad_norm"], 3),
                "rate": logs["learning_rate"],
                "tokens_per_s": round(speed, 1),
                "memory_gb": round(peak_memory() / 1e9, 2),
            }
        )
        done = self._clock.progress(state.global_step)
        left = self._clock.seconds * (1 - done) / max(done, 1e-9) / 60
        self._say(
            f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.3f}, {speed:.0f} tokens/s, "
            f"{peak_memory() / 1e9:.1f} GB, about {left:.0f} minutes left"
        )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved_at = self._clock.now()

    def look(self, state: Any) -> bool:
        """Look at the dev texts, and keep the adapter if it is the best so far.

        Returns:
            Whether enough looks were in vain to end the training.
        """
        (stop,) = _agreed([state.is_world_process_zero and self._look(state)])
        return stop

    def _look(self, state: Any) -> bool:
        if self._log.looks and self._log.looks[-1]["step"] == state.global_step:
            return False
        started = time.monotonic()
        line: dict[str, Any] = {"step": state.global_step, "epoch": round(state.epoch or 0.0, 3)}
        line["held_loss"] = round(self.trainer.held_loss(self._held, self._options.micro), 4) if self._held else 0.0
        best = self._log.best
        trial = self._out.folder / "trial"
        self._save(trial)
        if self._asker is not None:
            line |= self._asker.ask(trial / "adapter.gguf").record()
        if best is None or worth(line) > worth(best):
            self._keep(trial)
        shutil.rmtree(trial, ignore_errors=True)
        seconds = time.monotonic() - started
        self._clock.looked(state.global_step, seconds)
        self._log.add({**line, "seconds": round(self._clock.seconds, 1), "look_s": round(seconds, 1)})
        told = (
            f", strict F1 {line['f1']:.3f} (P {line['precision']:.2f}, R {line['recall']:.2f})" if "f1" in line else ""
        )
        kept = "kept" if self._log.in_vain == 0 else f"{self._log.in_vain} since the best"
        self._say(f"  dev after step {state.global_step}: loss {line['held_loss']:.3f}{told}; {kept}; {seconds:.0f} s")
        return self._log.in_vain >= self._options.patience

    def _save(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        save_adapter(self.trainer.model, folder / "adapter", self._options.model.name)
        to_gguf(folder / "adapter", self._out.base, folder / "adapter.gguf", self._options.served)

    def _keep(self, trial: Path) -> None:
        shutil.rmtree(self._out.adapter, ignore_errors=True)
        (trial / "adapter").replace(self._out.adapter)
        (trial / "adapter.gguf").replace(self._out.gguf)


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """Save an adapter as peft does, under the name of its base and without a card of peft's own."""
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)


def to_gguf(adapter: Path, base: Path, gguf: Path, model: Path | None) -> None:
    """The adapter for llama.cpp.

    Raises:
        SetupError: llama.cpp's conversion cannot be had, or cannot do it.
    """
    try:
        adapter_to_gguf(adapter, base, gguf, model=model)
    except CannotConvert as error:
        raise SetupError("adapter", str(error).removeprefix("error: "), "") from None


def peak_memory() -> float:
    """Bytes that this process held at most: of the GPU if it has one."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _agreed(values: list[bool]) -> list[bool]:
    return list(broadcast_object_list(values))
