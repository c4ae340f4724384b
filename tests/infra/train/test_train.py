"""A random model trained for 40 steps, exported, served and asked; with the environment of `make setup-train`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "llama"))
sys.path.insert(0, str(Path(__file__).parents[3] / "infra" / "llama"))

import random_atom
from fake.little_course import write_course

from convert_source import conversion_script
from triplelake.commands.trained import card_of
from triplelake.evaluate.report import Run
from triplelake.pool.gguf import declared_alias
from triplelake.pool.gguf_header import check_lora, read_header
from triplelake.prompt.profile import find_profile

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-train" / "bin" / "python"
pytestmark = [pytest.mark.infra, pytest.mark.model]

Trainer = Callable[..., "subprocess.CompletedProcess[str]"]
# A step of so small a model is no work for two threads.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, and a random model of Llama's shape as `base/` and as `base.gguf`."""
    subprocess.run(["make", "-C", str(ROOT), "setup-train"], check=True)
    folder = tmp_path_factory.mktemp("train")
    data = write_course(folder / "data")
    lines = [json.loads(line) for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = folder / "texts.txt"
    texts.write_text("\n".join(f"{each['text']} {each['answer']}" for each in lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(random_atom, "VOCABULARY", 400)
        random_atom.make_random_atom(folder / "base", texts)
    config = json.loads((folder / "base" / "config.json").read_text(encoding="utf-8"))
    del config["auto_map"]
    (folder / "base" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    convert = conversion_script().parent / "convert_hf_to_gguf.py"
    out = ["--outtype", "f16", "--outfile", str(folder / "base.gguf")]
    subprocess.run([PYTHON, convert, str(folder / "base"), *out], check=True, env=ENVIRONMENT)
    return folder


def command(home: Path, out: str, *more: str) -> list[str]:
    words = [str(home / "data"), "--model", str(home / "base.gguf"), "--out", str(home / out), "--lr", "1e-2"]
    return [str(PYTHON), str(ROOT / "infra" / "train" / "train.py"), *words, "--epochs", "5", *more]


def trained(home: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(home, out, *more), capture_output=True, text=True, env=ENVIRONMENT, check=False)


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


# Lots are drawn too, which a training that goes on must draw again.
_WHOLE = ("--eval-every", "20", "--dev-texts", "10", "--negatives", "100")


@pytest.fixture(scope="module")
def whole(home: Path) -> Path:
    """The folder of a training that was left alone."""
    done = trained(home, "whole", *_WHOLE)
    assert done.returncode == 0, done.stdout + done.stderr
    return home / "whole"


def test_it_learns_and_its_dev_texts_are_asked(whole: Path) -> None:
    lines = log_of(whole)
    losses = [each["loss"] for each in lines if "loss" in each]
    assert len(losses) == 4 and losses[-1] < 0.7 * losses[0]
    looks = [each for each in lines if "f1" in each]
    assert [each["step"] for each in looks] == [20, 40]
    assert all(each["texts"] == 10 and 0 <= each["f1"] <= 1 and each["decoded"] > 0 for each in looks)


def test_its_folder_holds_what_serves_and_what_tells(home: Path, whole: Path) -> None:
    there = {each.name for each in whole.iterdir()}
    assert there == {
        *("adapter", "adapter.gguf", "base", "begun.json", "card.json", "curve.svg", "log.jsonl", "profile.yaml")
    }
    check_lora(read_header(home / "base.gguf"), read_header(whole / "adapter.gguf"))
    alias = declared_alias(home / "base.gguf", whole / "adapter.gguf")
    card = json.loads((whole / "card.json").read_text(encoding="utf-8"))
    assert card["training"]["alias"] == alias
    assert card["training"]["best"]["step"] in (20, 40)
    assert len(card["data"]["hashes"]["train"]) == 60
    assert find_profile(str(whole / "profile.yaml"), alias).match
    assert "strict F1 on dev texts" in (whole / "curve.svg").read_text(encoding="utf-8")


def test_what_is_done_is_not_done_again_and_other_settings_are_refused(home: Path, whole: Path) -> None:
    before = (whole / "card.json").read_bytes()
    again = trained(home, "whole", *_WHOLE)
    assert (again.returncode, "Done already" in again.stdout) == (0, True)
    assert (whole / "card.json").read_bytes() == before
    other = trained(home, "whole", "--rank", "4")
    assert other.returncode == 6 and "rank 16 → 4" in other.stderr


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(home: Path, whole: Path) -> None:
    # Steps between looks change nothing of what is learnt.
    more = ("--eval-every", "10", "--dev-texts", "0", "--negatives", "100")
    words = command(home, "stopped", *more)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    deadline = time.monotonic() + 600
    while not list((home / "stopped" / "state").glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 130
    done = trained(home, "stopped", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from step " in done.stdout
    losses = [
        [(each["step"], each["loss"]) for each in log_of(folder) if "loss" in each]
        for folder in (home / "stopped", whole)
    ]
    assert losses[0] == losses[1]


def test_a_dry_run_tells_and_leaves_nothing(home: Path) -> None:
    done = trained(home, "nothing", "--dry-run")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("Memory:", "Time:", "Nothing was done"))
    assert not (home / "nothing").exists()


def test_time_ends_it_and_a_folder_is_trained_too(home: Path) -> None:
    words = [word if word != str(home / "base.gguf") else str(home / "base") for word in command(home, "short")]
    done = subprocess.run([*words, "--minutes", "0.001"], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "F1 is not asked" in done.stdout
    card = json.loads((home / "short" / "card.json").read_text(encoding="utf-8"))
    assert card["training"]["steps"] == 1


def test_packed_texts_are_learnt_as_padded_ones_are(home: Path) -> None:
    """Of the first steps: later ones differ by what rounding has made of these."""
    found = []
    for name, packing in (("padded", "--no-packing"), ("packed", "--packing")):
        done = trained(home, name, packing, "--precision", "fp32", "--dev-texts", "0", "--eval-every", "1000")
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(next(each["loss"] for each in log_of(home / name) if "loss" in each))
        shutil.rmtree(home / name)
    assert found[0] == pytest.approx(found[1], abs=0.01)


def test_int8_learns_what_fp32_does(home: Path) -> None:
    losses = {}
    for precision in ("fp32", "int8"):
        done = trained(home, precision, "--precision", precision, "--dev-texts", "10", "--eval-every", "1000")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"operations/s in {precision}" in done.stdout
        losses[precision] = [each["loss"] for each in log_of(home / precision) if "loss" in each]
        card = json.loads((home / precision / "card.json").read_text(encoding="utf-8"))
        assert card["training"]["precision"] == precision
    assert losses["int8"] != losses["fp32"]
    assert losses["int8"] == pytest.approx(losses["fp32"], rel=0.05)


def test_tokens_by_lot_stand_for_the_rest_of_a_vocabulary(home: Path) -> None:
    """The mean over many lots is that over the whole vocabulary: of a loss, and of what is learnt of it."""
    script = Path(__file__).with_name("head_by_lot.py")
    done = subprocess.run([PYTHON, script], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["counted"] == {"whole": 1000, "lots": pytest.approx(145, abs=15), "scarce": 999, "evaluated": 1000}
    assert found["plain"] == pytest.approx(found["whole"], rel=1e-6)
    assert found["lots"] == pytest.approx(found["whole"], rel=0.01)
    assert found["alike"] > 0.99
    assert found["outside"] == [1, 7, 1000]


def test_the_last_layers_alone_are_adapted(home: Path) -> None:
    done = trained(home, "last", "--layers", "1", "--dev-texts", "10", "--eval-every", "1000")
    assert done.returncode == 0, done.stdout + done.stderr
    layers = read_header(home / "base.gguf").fields["llama.block_count"]
    adapted = {name.split(".")[1] for name in read_header(home / "last" / "adapter.gguf").tensors}
    assert adapted == {str(layers - 1)}


def merged(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, ROOT / "infra" / "train" / "merge.py", *words]
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, env=ENVIRONMENT, check=False)


def test_a_merged_model_is_of_one_piece_and_keeps_its_card(home: Path, whole: Path) -> None:
    words = (str(whole), "--model", str(home / "base.gguf"), "--to", str(home / "merged"))
    done = merged(home, *words, "--type", "f32")
    assert done.returncode == 0, done.stdout + done.stderr
    model = home / "merged" / "base+adapter-f32.gguf"
    assert {each.name for each in model.parent.iterdir()} == {model.name, "profile.yaml", "card.json"}
    base = read_header(home / "base.gguf")
    assert read_header(model).tensors == base.tensors
    assert merged_weights(model) == pytest.approx(summed_weights(home / "base.gguf", whole / "adapter.gguf"), abs=1e-5)
    alias = declared_alias(model)
    assert find_profile(str(model.parent / "profile.yaml"), alias).match
    embedded = {"pool": "embedded", "embedded": {"model": str(model)}}
    assert card_of(Run(output="kg", model=f"{alias} F32", settings=embedded)) == (home / "merged" / "card.json", None)
    again = merged(home, *words)
    assert again.returncode == 6 and "holds files already" in again.stderr
    other = merged(home, str(whole), "--model", str(home / "base"), "--to", str(home / "other"))
    assert other.returncode == 3 and "another model than the one of the training" in other.stderr


_NAME = "blk.0.ffn_down"
"""A layer whose numbers the conversion does not put into another order."""


def merged_weights(model: Path) -> list[float]:
    return [float(each) for each in tensors(model)[f"{_NAME}.weight"].ravel()]


def summed_weights(base: Path, adapter: Path) -> list[float]:
    pair, first, second = tensors(adapter), f"{_NAME}.weight.lora_a", f"{_NAME}.weight.lora_b"
    # The alpha of a training is twice its rank.
    return [float(each) for each in (tensors(base)[f"{_NAME}.weight"] + 2 * pair[second] @ pair[first]).ravel()]


def tensors(file: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(conversion_script().parent / "gguf-py"))
        from gguf import GGUFReader
    return {each.name: each.data.astype("float32") for each in GGUFReader(file).tensors}
