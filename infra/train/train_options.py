"""The options of train.py, and what of them makes one training another."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from triplelake.cli.parsing import EXIT_CODES, Parser
from triplelake.errors import UsageError

Computed = Literal["bf16", "fp32", "int8"]
"""What the weights of the base are multiplied in."""

Precision = Literal["auto"] | Computed
Attention = Literal["sdpa", "eager", "flash_attention_2"]

_ELSEWHERE = frozenset(
    {"out", "minutes", "patience", "every", "dev_texts", "dev_model", "save_minutes", "dry_run", "overwrite", "slots"}
    | {"allow_missing", "allow_template", "epochs"}
)
"""What may differ where a training goes on: it changes how long it takes and who looks at it, not what is trained."""


_NEGATIVES = 8192
"""On a CPU, where the head of a model with a large vocabulary takes a fifth of the time without them."""


@dataclass(frozen=True, slots=True)
class Options:
    """What train.py is told.

    Args:
        batch: texts of a step, over all devices.
        micro: texts of a pass over a device; `batch` if they fit.
        layers: the last layers that get an adapter; all if None.
        negatives: tokens that stand for the rest of the vocabulary in a loss; None for what suits the device.
        minutes: after which the learning rate is nil, from the start of the command; None for as long as epochs take.
        every: steps from one look at the dev texts to the next; None for about ten looks.
        patience: looks without a better F1 after which it stops.
        dev_model: GGUF that dev texts are asked with, beside the adapter.
    """

    data: Path
    model: Path
    out: Path
    epochs: float
    batch: int
    micro: int
    rank: int
    layers: int | None
    lr: float
    warmup: int
    negatives: int | None
    max_tokens: int
    packing: bool | None
    precision: Precision
    attention: Attention
    checkpointing: bool
    seed: int
    minutes: float | None
    every: int | None
    dev_texts: int
    dev_model: Path | None
    patience: int
    slots: int
    save_minutes: float
    prompts: str
    dry_run: bool
    overwrite: bool
    allow_missing: bool
    allow_template: bool

    @property
    def identity(self) -> Mapping[str, Any]:
        """What a training that goes on must have in common with the one that began."""
        found = {name: value for name, value in asdict(self).items() if name not in _ELSEWHERE}
        return {name: str(value) if isinstance(value, Path) else value for name, value in found.items()}

    def negatives_on(self, kind: str) -> int:
        """`negatives` on a device; 0 is the whole vocabulary.

        Args:
            kind: `cpu` or `cuda`.
        """
        if self.negatives is not None:
            return self.negatives
        return _NEGATIVES if kind == "cpu" else 0

    @property
    def served(self) -> Path | None:
        """The GGUF of the base model, with which dev texts are asked; None where there is none."""
        return self.dev_model or (self.model if self.model.suffix == ".gguf" else None)


def parse(argv: Sequence[str]) -> Options:
    """The options of a command line.

    Raises:
        UsageError: one is unknown, malformed, or contradicts another.
    """
    said = vars(_parser().parse(argv))
    given = Options(**said | {"micro": said["micro"] or said["batch"]})
    for name in ("batch", "micro", "rank", "max_tokens", "patience", "slots"):
        if getattr(given, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')}", "is less than 1", "Leave it out for what is usual.")
    for name in ("epochs", "lr", "minutes", "save_minutes"):
        if (value := getattr(given, name)) is not None and value <= 0:
            raise UsageError(f"--{name.replace('_', '-')}", "is not greater than 0", "Leave it out for what is usual.")
    if given.negatives is not None and given.negatives < 0:
        raise UsageError("--negatives", "is less than 0", "Leave it out for what is usual.")
    if given.batch % given.micro:
        reason = f"{given.batch} is no multiple of --micro {given.micro}"
        raise UsageError("--batch", reason, "A step is a whole number of passes.")
    if not given.model.exists():
        raise UsageError(f"--model {given.model}", "is not there", "Name a GGUF file or a folder of Hugging Face's.")
    if given.dev_model is not None and not given.dev_model.is_file():
        raise UsageError(f"--dev-model {given.dev_model}", "is not there", "Name the GGUF of the same base model.")
    return given


def _parser() -> Parser:
    parser = Parser(
        prog="train.py",
        description="Train a LoRA adapter of a base model on what `triplelake export --what training` wrote.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("data", type=Path, metavar="DATA", help="folder that `triplelake export --what training` wrote")
    add("--model", type=Path, required=True, metavar="GGUF|DIR", help="base model: a GGUF, or a Hugging Face folder")
    add("--out", type=Path, required=True, metavar="OUT", help="folder of the adapter; what stands there goes on")
    add("--epochs", type=float, default=4, metavar="N", help="times that each text is seen (4)")
    add("--minutes", type=float, metavar="N", help="end after so long, from the start of the command; none if not set")
    add("--batch", type=int, default=8, metavar="N", help="texts of a step, over all devices (8)")
    add("--micro", type=int, metavar="N", help="texts that a device reads at once; fewer take less memory (--batch)")
    add("--rank", type=int, default=16, metavar="N", help="of the adapter's matrices (16)")
    add("--layers", type=int, metavar="N", help="adapt the last N layers only, which takes less time; else all")
    add("--lr", type=float, default=4e-4, metavar="X", help="highest learning rate (4e-4)")
    add("--warmup", type=int, default=15, metavar="N", help="steps until it is reached (15)")
    add(
        "--negatives",
        type=int,
        metavar="N",
        help="tokens by lot that stand for the rest of the vocabulary in the loss; 0: no lots (8192 on a CPU, else 0)",
    )
    add("--max-tokens", type=int, default=384, metavar="N", help="longer texts are left out, and counted (384)")
    add(
        "--packing",
        action=argparse.BooleanOptionalAction,
        help="texts of a pass in one row without padding, each seeing itself only; on a GPU if not set",
    )
    add(
        "--precision",
        choices=("auto", "bf16", "fp32", "int8"),
        default="auto",
        help="what the base is multiplied in (auto)",
    )
    add("--attention", choices=("sdpa", "eager", "flash_attention_2"), default="sdpa", help="how it is computed (sdpa)")
    add("--checkpointing", action="store_true", help="compute activations twice, which takes far less memory")
    add("--seed", type=int, default=0, metavar="N", help="of the adapter's start and the order of texts (0)")
    add("--eval-every", dest="every", type=int, metavar="N", help="steps between looks at dev texts; else ten in all")
    add("--dev-texts", type=int, default=100, metavar="N", help="of dev.jsonl to ask about at each look; 0: none (100)")
    add("--dev-model", type=Path, metavar="GGUF", help="the base to ask them with, where --model is a folder")
    add("--patience", type=int, default=4, metavar="N", help="stop after so many looks without a better F1 (4)")
    add("--slots", type=int, default=4, metavar="N", help="dev texts asked at the same time (4)")
    add("--save-minutes", type=float, default=10, metavar="N", help="between two states to go on from (10)")
    add("--prompts", default="prompts", metavar="DIR", help="setting prompt.dir of the runs it is for (prompts)")
    add("--dry-run", action="store_true", help="check the data, tell memory and time by calculation, and do nothing")
    add("--overwrite", action="store_true", help="begin anew where OUT holds another training")
    add("--allow-missing", action="store_true", help="train though a relation of the ontology has no example")
    add("--allow-template", action="store_true", help="train though the model's template is not that of the profile")
    return parser
