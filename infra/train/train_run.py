"""One training from its data to its card."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from transformers import TrainingArguments

from train_clock import LOOKS, Clock
from train_cost import check_memory, cost
from train_curve import draw
from train_data import FEWEST, Course
from train_dev import Asker
from train_device import computed_in, device, free_bytes, keep_memory, ops_per_s
from train_log import Log
from train_loop import AnswerTrainer, Collator
from train_model import load_model, load_shape, load_tokenizer, save_base, template_of
from train_options import Options
from train_out import Out, finish, identity
from train_tokens import Encoded, check_left, check_template, encode, special_texts
from train_watch import Watch, peak_memory
from triplelake.console import say

_LOG_EVERY = 10


@dataclass
class Training:
    """Carries one training out.

    Args:
        began: when the command began, by `time.monotonic`.
    """

    course: Course
    options: Options
    console: Console
    began: float

    def run(self) -> None:
        """Check, estimate, train, and write what it ends with.

        Raises:
            TriplelakeError: something is not as it has to be; what was done is kept, and the same command goes on.
        """
        options, course, place = self.options, self.course, device()
        out = Out(options.out)
        begun = identity(course, options)
        if not options.dry_run:
            out.begin(begun, overwrite=options.overwrite)
            if out.is_done:
                self._say(f"Done already: {out.folder}")
                return
        keep_memory()
        tokenizer = load_tokenizer(options.model)
        template = check_template(course, template_of(options.model, tokenizer), allow=options.allow_template)
        if template:
            self._say(f"note: {template}")
        taught = self._encoded(tokenizer)
        self._estimate(taught, place)
        if options.dry_run:
            self._say("Nothing was done (--dry-run).")
            return
        self._train(out, begun, tokenizer, taught, place)

    def _say(self, line: str) -> None:
        say(self.console, line)

    def _encode(self, lessons: Any, tokenizer: Any) -> Encoded:
        known = [str(each) for each in tokenizer.all_special_tokens]
        special = special_texts(self.course.profile, known)
        limit = self.options.max_tokens
        end = self.course.end or str(tokenizer.eos_token)
        return encode(lessons, tokenizer, end, max_tokens=limit, special=special)

    def _encoded(self, tokenizer: Any) -> Encoded:
        taught = self._encode(self.course.train, tokenizer)
        check_left(self.course, taught, FEWEST)
        count = len(taught.samples)
        answers = sum(len(each.answer) for each in taught.samples)
        self._say(
            f"Tokens:   {taught.tokens / count:.0f} a text, {answers / count:.0f} of them learnt; left out "
            f"{taught.too_long} texts longer than {self.options.max_tokens}, {taught.special} with special tokens"
        )
        return taught

    def _estimate(self, taught: Encoded, place: torch.device) -> None:
        """Tell memory and time; refuse what does not fit."""
        options, precision = self.options, computed_in(self.options.precision, place)
        shape = load_shape(options.model, options.layers)
        lengths = [len(each) for each in taught.samples]
        answers = [len(each.answer) for each in taught.samples]
        held = len(taught.held)
        needed = cost(shape, options, lengths, answers, held=held, precision=precision, kind=place.type)
        free = free_bytes(place)
        self._say(
            f"Memory:   about {needed.memory / 1e9:.1f} GB of {free / 1e9:.1f} GB free: {needed.weights / 1e9:.1f} "
            f"weights, {needed.optimiser / 1e9:.1f} adapter and optimiser ({needed.adapter / 1e6:.1f} M weights), "
            f"{needed.activations / 1e9:.1f} activations, {needed.head / 1e9:.1f} answers' probabilities"
        )
        speed = ops_per_s(place, precision)
        hours = needed.hours(options.epochs, speed)
        bound = f", ends after {options.minutes:g} minutes" if options.minutes else ""
        self._say(
            f"Time:     about {hours:.1f} hours for {options.epochs:g} epochs by calculation, at "
            f"{speed / 1e9:,.0f} billion operations/s in {precision}{bound}"
        )
        check_memory(needed, free, options)

    def _train(self, out: Out, begun: Any, tokenizer: Any, taught: Encoded, place: torch.device) -> None:
        options = self.options
        model = load_model(options, place)
        save_base(model, tokenizer, out.base)
        last = out.last_state
        log = Log(out.log, int(last.name.rpartition("-")[2]) if last else 0)
        steps = math.ceil(options.epochs * math.ceil(len(taught.samples) / options.batch))
        clock = Clock(
            steps=steps,
            warmup=options.warmup,
            budget_s=60 * options.minutes if options.minutes else None,
            every=options.every,
            began=self.began,
            spent_s=log.seconds,
        )
        held = self._encode(self.course.dev, tokenizer).samples
        watch = Watch(options, out, clock, log, held, self._asker(), self._say)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        trainer = AnswerTrainer(
            model,
            self._arguments(out, steps, place),
            taught.samples,
            Collator(packing=bool(options.packing), pad=pad or 0),
            clock.rate,
            watch,
            options.negatives_on(place.type),
            taught.held,
        )
        watch.trainer = trainer
        went_on = f" from step {last.name.rpartition('-')[2]}" if last else ""
        self._say(
            f"Training: {steps:,} steps of {options.batch} texts{went_on}, a look about every "
            f"{f'{options.every} steps' if options.every else f'{LOOKS}th part'}"
        )
        started = time.monotonic()
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        seconds = time.monotonic() - started
        watch.look(trainer.state)
        if not trainer.is_world_process_zero():
            return
        self._finish(out, begun, log, taught, trainer, seconds)

    def _finish(self, out: Out, begun: Any, log: Log, taught: Encoded, trainer: AnswerTrainer, seconds: float) -> None:
        draw(log.lines, out.folder / "curve.svg")
        best = log.best
        assert best is not None  # the last look is one
        told = {
            "texts": len(taught.samples),
            "too_long": taught.too_long,
            "special": taught.special,
            "steps": trainer.state.global_step,
            "seconds": round(log.seconds, 1),
            "tokens": trainer.tokens,
            "tokens_learnt": trainer.answers,
            "memory_gb": round(peak_memory() / 1e9, 2),
            "best": best,
        }
        finish(out, self.course, self.options, begun, log.lines, told)
        f1 = f", strict F1 {best['f1']:.3f} on {best['texts']} dev texts" if "f1" in best else ""
        self._say(
            f"Done:     {trainer.state.global_step:,} steps in {seconds / 60:.1f} minutes, "
            f"{peak_memory() / 1e9:.1f} GB at most; the best after step {best['step']}: "
            f"loss {best['held_loss']:.3f}{f1}"
        )
        self._say(f"Adapter:  {out.gguf}\nAsk it:   --lora {out.gguf} --profile {out.folder / 'profile.yaml'}")

    def _asker(self) -> Asker | None:
        options = self.options
        if not options.dev_texts or not self.course.dev:
            return None
        if options.served is None:
            self._say("note: F1 is not asked, since a server needs the base as GGUF (--dev-model); the loss decides")
            return None
        return Asker(self.course, options, options.served)

    def _arguments(self, out: Out, steps: int, place: torch.device) -> TrainingArguments:
        options = self.options
        devices = max(1, torch.cuda.device_count()) if place.type == "cuda" else 1
        return TrainingArguments(
            output_dir=str(out.state),
            per_device_train_batch_size=options.micro,
            gradient_accumulation_steps=max(1, options.batch // (options.micro * devices)),
            max_steps=steps,
            learning_rate=options.lr,
            max_grad_norm=1.0,
            logging_steps=_LOG_EVERY,
            save_strategy="no",
            save_total_limit=2,
            eval_strategy="no",
            seed=options.seed,
            use_cpu=place.type == "cpu",
            remove_unused_columns=False,
            dataloader_pin_memory=place.type == "cuda",
            disable_tqdm=True,
            report_to=[],
            **({"gradient_checkpointing": True} if options.checkpointing else {}),
        )
