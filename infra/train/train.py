"""Train a model of one's own: a LoRA adapter of a small base model, on a CPU or on GPUs.

    python infra/train/train.py DATA --model GGUF|DIR --out OUT [--minutes 180] [--dry-run]

In the environment of `make setup-train`. The same command goes on where OUT stands. On several GPUs:
`accelerate launch infra/train/train.py …`.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "llama"))

from rich.console import Console

from train_data import check_prompts, check_relations, facts_of, read_course
from train_options import Options, parse
from triplelake.cli.guard import guarded
from triplelake.console import say
from triplelake.errors import SetupError

_BEGAN = time.monotonic()
_NEEDED = ("torch", "transformers", "peft", "accelerate", "gguf", "matplotlib")


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    # All that is needed is here already, and a name of a folder is none of the hub.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    if "OMP_WAIT_POLICY" not in os.environ:
        # By default a thread that waits for the other looks for it without an end, and so keeps it from its core.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # Of what the packages will call otherwise one day, and of a base without a folder, which is meant.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Could not find a config file", module="peft")
    return guarded(lambda console: run(argv, console))


def run(argv: Sequence[str], console: Console) -> None:
    """Check what can be checked without the packages for training, and train.

    Raises:
        TriplelakeError: an option, the data or the model is not as it has to be.
    """
    options = parse(argv)
    course = read_course(options.data)
    told = [check_relations(course, allow=options.allow_missing)]
    check_prompts(course, options.prompts)
    say(
        console,
        f"Data:     {len(course.train):,} texts with {facts_of(course.train):,} facts, {len(course.dev):,} to look at",
    )
    for note in filter(None, told):
        say(console, f"note: {note}")
    check_packages()
    from train_run import Training

    Training(course, _resolved(options), console, _BEGAN).run()


def check_packages() -> None:
    """Whether the packages for training are there.

    Raises:
        SetupError: one is missing.
    """
    from importlib.util import find_spec

    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        remedy = "make setup-train, and run it as .venv-train/bin/python infra/train/train.py …"
        raise SetupError("packages", f"{', '.join(missing)} are not installed in this environment", remedy)


def _resolved(options: Options) -> Options:
    """What is left to the device is decided here, so that a training never goes on otherwise on another one."""
    from train_device import computed_in, device

    place = device()
    packing = options.packing if options.packing is not None else place.type == "cuda"
    return replace(options, packing=packing, precision=computed_in(options.precision, place))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
