"""An adapter of peft becomes a GGUF: adapter.sh, adapter_gguf.py and where they have llama.cpp's script from."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fake.gguf_file import ATOM_7B, write_gguf, write_lora
from llama_host import LLAMA, Host, assert_refused, read_manifest

sys.path.insert(0, str(LLAMA))

import convert_source
from adapter_gguf import adapter_to_gguf
from convert_source import CannotConvert, conversion_script

SHAPES = {"blk.0.attn_q.weight": (8, 6)}
# It writes what the test has put there, as if it had been converted.
CONVERT = """\
import os, sys, pathlib, shutil
print("asked", *sys.argv[1:])
if what := os.environ.get("STUB_CONVERT_SAYS"):
    sys.exit(what)
folder = pathlib.Path(sys.argv[1])
shutil.copy(folder / "made.gguf", sys.argv[sys.argv.index("--outfile") + 1])
"""


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "own" / "adapter"
    folder.mkdir(parents=True)
    write_config(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    write_lora(folder / "made.gguf", SHAPES)
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "convert_lora_to_gguf.py"
    file.write_text(CONVERT)
    return file


@pytest.fixture
def maker(host: Host) -> Host:
    """A host with a build of llama.cpp, and the packages of the conversion in place."""
    requirements = host.prefix / "llama" / "convert" / "requirements"
    requirements.mkdir(parents=True)
    for name in ("legacy_llama", "hf_to_gguf"):
        (requirements / f"requirements-convert_{name}.txt").write_text("torch\n")
    (host.prefix / "llama" / "convert" / "convert_lora_to_gguf.py").write_text(CONVERT)
    (host.prefix / "llama" / "manifest.json").write_text('{"built": {"llama_cpp": "11312-0c1e57098"}}')
    environment = host.prefix / "convert-env"
    (environment / "bin").mkdir(parents=True)
    host.write("python", f'exec {sys.executable} "$@"')
    (environment / "bin" / "python").symlink_to(host.bin / "python")
    (environment / ".complete").write_text("torch\ntorch\n")
    return host


def write_config(folder: Path, **changes: Any) -> None:
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": None, "use_rslora": False}
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))


def test_the_whole_way_and_the_same_again(maker: Host, adapter: Path, base: Path) -> None:
    (adapter.parent / "card.json").write_text("{}")
    done = maker.run("adapter.sh", "--adapter", adapter, "--base", base)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = maker.prefix / "adapters" / "own"
    made = folder / "own.gguf"
    assert made.read_bytes() == (adapter / "made.gguf").read_bytes()
    manifest = read_manifest(folder)
    assert set(manifest["files"]) == {"own.gguf", "card.json"}
    assert manifest["made_with"] == "11312-0c1e57098"
    assert f"SHA-256: {manifest['files']['own.gguf']['sha256']}\n" in done.stdout
    assert f"--lora {made}\n" in done.stdout
    assert sorted(path.name for path in maker.prefix.iterdir()) == [".lock", "adapters", "convert-env", "llama"]

    assert maker.run("adapter.sh", "--adapter", adapter, "--base", base).stdout.startswith("Whole already: ")
    (adapter / "adapter_model.safetensors").write_bytes(b"trained on")
    again = maker.run("adapter.sh", "--adapter", adapter, "--base", base)
    assert again.returncode == 0 and "Converting" in again.stdout


def test_a_dry_run_makes_nothing_and_a_base_may_be_known(maker: Host, adapter: Path, base: Path) -> None:
    write_config(adapter, base_model_name_or_path=str(base))
    done = maker.run("adapter.sh", "--adapter", adapter, "--name", "news", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"of the model in {base}, to {maker.prefix}/adapters/news/news.gguf.\n" in done.stdout
    assert not (maker.prefix / "adapters").exists()


@pytest.mark.parametrize(
    ("options", "subject", "reason"),
    [
        ([], "--base", "is missing, and"),
        (["--base", "."], "config.json", "No such file"),
        (["--base", "BASE", "--type", "q4_0"], "--type q4_0", "is not one of"),
        (["--base", "BASE", "--name", "a b"], "--name a b", "is not a plain name"),
        (["--base", "BASE", "--model", "/no.gguf"], "--model /no.gguf", "cannot be read"),
        (["--base", "BASE", "--what", "1"], "--what", "is not an option"),
    ],
)
def test_bad_usage(
    maker: Host, adapter: Path, base: Path, tmp_path: Path, options: list[str], subject: str, reason: str
) -> None:
    words = [str(base) if word == "BASE" else str(tmp_path) if word == "." else word for word in options]
    assert_refused(maker.run("adapter.sh", "--adapter", adapter, *words), 2, subject, reason)


def test_without_a_build_it_says_both_ways(host: Host, adapter: Path, base: Path) -> None:
    done = host.run("adapter.sh", "--adapter", adapter, "--base", base)
    assert_refused(done, 3, "llama", "holds no build of llama.cpp")
    assert "adapter_gguf.py" in done.stderr


def test_one_that_does_not_fit_its_model_is_not_kept(maker: Host, adapter: Path, base: Path, tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "other.gguf", ATOM_7B, {"blk.0.attn_q.weight": (8, 7)})
    done = maker.run("adapter.sh", "--adapter", adapter, "--base", base, "--model", model)
    assert_refused(done, 2, "adapter", "does not go with other.gguf: `blk.0.attn_q.weight` is 8x6 in it and 8x7")
    assert not list((maker.prefix / "adapters").rglob("*.gguf*"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"peft_type": "IA3"}, "is of type IA3, and llama.cpp serves LORA"),
        ({"use_rslora": True}, "was trained with use_rslora"),
        ({"alpha_pattern": {"q_proj": 4}}, "was trained with alpha_pattern"),
        ({"use_dora": True}, "was trained with use_dora"),
        ({"modules_to_save": ["lm_head"]}, "was trained with modules_to_save"),
    ],
)
def test_what_a_gguf_cannot_hold(
    adapter: Path, base: Path, script: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    write_config(adapter, **changes)
    with pytest.raises(CannotConvert, match=reason) as error:
        adapter_to_gguf(adapter, base, tmp_path / "own.gguf", script=script)
    assert error.value.code == 2
    assert not (tmp_path / "own.gguf").exists()


def test_the_function_of_the_trainer(adapter: Path, base: Path, script: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "own.gguf"
    adapter_to_gguf(adapter, base, out, script=script)
    assert out.read_bytes() == (adapter / "made.gguf").read_bytes()
    assert [path.name for path in out.parent.iterdir()] == ["own.gguf"]


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ("ModuleNotFoundError: No module named 'torch'", 3, "lacks the package torch"),
        ("lm_head is present in adapter, but is ignored in base model", 4, "lm_head is present"),
    ],
)
def test_a_conversion_that_fails_says_why(
    adapter: Path, base: Path, script: Path, tmp_path: Path, said: str, code: int, reason: str
) -> None:
    command = [sys.executable, LLAMA / "adapter_gguf.py", "--adapter", adapter, "--base", base, "--script", script]
    done = subprocess.run(
        [*command, "--out", tmp_path / "own.gguf"],
        env={**os.environ, "STUB_CONVERT_SAYS": said},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert done.stderr.startswith("error: ") and reason in done.stderr
    assert not list(tmp_path.glob("own.gguf*"))


def test_a_file_without_weights_is_no_adapter(adapter: Path, base: Path, script: Path, tmp_path: Path) -> None:
    write_lora(adapter / "made.gguf", {})
    with pytest.raises(CannotConvert, match="without weights of a LoRA"):
        adapter_to_gguf(adapter, base, tmp_path / "own.gguf", script=script)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache of its own and a source archive in place of pip's; what was fetched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetched: list[str] = []

    def download(folder: Path) -> Path:
        fetched.append("archive")
        top = f"llama_cpp_python-{convert_source.VERSION}/"
        with tarfile.open(folder / "it.tar.gz", "w:gz") as archive:
            for name in (
                "setup.py",
                "vendor/llama.cpp/convert_lora_to_gguf.py",
                "vendor/llama.cpp/conversion/__init__.py",
                "vendor/llama.cpp/conversion/../../../evil.py",
                "vendor/llama.cpp/src/llama.cpp",
                "vendor/llama.cpp/LICENSE",
            ):
                entry = tarfile.TarInfo(top + name)
                entry.size = len(CONVERT)
                archive.addfile(entry, io.BytesIO(CONVERT.encode()))
        return folder / "it.tar.gz"

    monkeypatch.setattr(convert_source, "_download", download)
    return fetched


def test_the_script_is_fetched_once(index: list[str], tmp_path: Path) -> None:
    first, second = conversion_script(), conversion_script()
    assert first == second and index == ["archive"]
    there = {str(path.relative_to(first.parent)) for path in first.parent.rglob("*") if path.is_file()}
    assert there == {"convert_lora_to_gguf.py", "conversion/__init__.py", "LICENSE"}
    assert [path.name for path in (tmp_path / "cache" / "triplelake").iterdir()] == [first.parent.name]


def test_a_script_that_others_can_change_is_not_run(index: list[str]) -> None:
    conversion_script().parent.chmod(0o777)
    with pytest.raises(CannotConvert, match="can be written by others"):
        conversion_script()


def test_no_index_says_what_else_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(CannotConvert, match="pip could not fetch its source archive") as error:
        conversion_script()
    assert error.value.code == 3 and "--script" in error.value.text
    assert not list((tmp_path / "cache").rglob("convert*"))


@pytest.mark.infra  # fetches 77 MB
def test_the_archive_of_the_index_holds_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    script = conversion_script()
    assert "lora_alpha" in script.read_text(encoding="utf-8")
    assert (script.parent / "gguf-py" / "gguf" / "__init__.py").is_file()
    shutil.rmtree(tmp_path / "cache")
