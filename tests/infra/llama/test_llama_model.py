"""model.sh: the guide's layout, every step once, and nothing that is not whole."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub
from llama_host import LLAMA, STUBS, Host, assert_refused, contents, read_manifest

REPOSITORY = "FlagAlpha/Atom-7B-Chat"
F16, Q8_0 = "ggml-model-f16.gguf", "ggml-model-q8_0.gguf"
CONVERT = """\
import os, sys, pathlib
folder, outfile = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[sys.argv.index("--outfile") + 1])
name = sys.argv[sys.argv.index("--model-name") + 1]
outfile.write_bytes(f"f16 of {name} ".encode() + b"".join(p.read_bytes() for p in sorted(folder.glob("*.safetensors"))))
with open(os.environ["STUB_CALLS"], "a") as calls:
    print("convert", file=calls)
sys.exit(os.environ.get("STUB_CONVERT_FAILS"))
"""


def safetensors(values: bytes) -> bytes:
    header = json.dumps({"weight": {"dtype": "F16", "shape": [len(values) // 2], "data_offsets": [0, len(values)]}})
    return struct.pack("<Q", len(header)) + header.encode() + values


def atom_files() -> dict[str, bytes]:
    """The files that the guide lists, small."""
    shards = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    index = {"metadata": {}, "weight_map": {f"layer.{n}": shard for n, shard in enumerate(shards)}}
    small = ("configuration_atom.py", "model_atom.py", "tokenizer.model")
    settings = ("config.json", "generation_config.json", "special_tokens_map.json", "tokenizer_config.json")
    return (
        {name: f"{name}\n".encode() for name in small}
        | {name: b"{}" for name in settings}
        | {shard: safetensors(bytes([n]) * 4096) for n, shard in enumerate(shards)}
        | {"model.safetensors.index.json": json.dumps(index).encode()}
    )


@pytest.fixture
def maker(host: Host) -> Host:
    """A host with a build of llama.cpp, and the packages of the conversion in place."""
    host.put("git", "/bin/false")
    llama = host.prefix / "llama"
    (llama / "bin").mkdir(parents=True)
    shutil.copy(STUBS / "llama-quantize", llama / "bin")
    (llama / "manifest.json").write_text('{"built": {"llama_cpp": "11312-0c1e57098"}}')
    requirements = llama / "convert" / "requirements"
    requirements.mkdir(parents=True)
    (llama / "convert" / "convert_hf_to_gguf.py").write_text(CONVERT)
    (requirements / "requirements-convert_legacy_llama.txt").write_text("numpy\n")
    (requirements / "requirements-convert_hf_to_gguf.txt").write_text("-r ./other.txt\n--extra-index-url x\ntorch\n")
    environment = host.prefix / "convert-env"
    (environment / "bin").mkdir(parents=True)
    host.write("python", f'exec {sys.executable} "$@"')
    (environment / "bin" / "python").symlink_to(host.bin / "python")
    (environment / ".complete").write_text("numpy\ntorch\n")
    return host


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "Atom-7B-Chat"
    folder.mkdir()
    for name, content in (atom_files() | {"pytorch_model.bin": b"the same weights"}).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def hub() -> FakeHub:
    files = atom_files() | {"README.md": b"# Atom", "pytorch_model.bin": b"the same weights"}
    [pinned] = re.findall("^readonly DEFAULT_REVISION=([0-9a-f]{40})$", (LLAMA / "model.sh").read_text(), re.MULTILINE)
    return FakeHub(REPOSITORY, files, pinned)


@pytest.fixture
def online(hub: FakeHub) -> Iterator[dict[str, str]]:
    """The variables that make huggingface_hub ask that hub and no other."""
    with hub.serving() as url:
        yield {"HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}


def test_the_whole_way_and_the_same_again(maker: Host, model: Path) -> None:
    done = maker.run("model.sh", "--model", model)
    assert done.returncode == 0, done.stdout + done.stderr

    models = maker.prefix / "zh-models"
    folder = models / "7B"
    made = {F16, Q8_0, "manifest.json", "chat-template.jinja"}
    assert {path.name for path in folder.iterdir()} == set(atom_files()) | made
    assert (models / "tokenizer.model").read_bytes() == atom_files()["tokenizer.model"]
    assert (folder / F16).read_bytes().startswith(b"f16 of Atom-7B-Chat ")
    assert (folder / Q8_0).read_bytes().startswith(b"q8_0 of f16 of Atom-7B-Chat ")
    shard = "model-00001-of-00003.safetensors"
    assert (folder / shard).samefile(model / shard)  # no second copy of the weights
    manifest = read_manifest(folder)
    assert manifest["name"] == "Atom-7B-Chat" and manifest["source"]["model"] == str(model)
    assert manifest["made_with"] == "11312-0c1e57098"
    assert set(manifest["files"]) == set(atom_files()) | {F16, Q8_0, "chat-template.jinja"}
    assert f"Alias: atom-7b-chat@{manifest['files'][Q8_0]['sha256'][:12]}\n" in done.stdout
    assert sorted(path.name for path in maker.prefix.iterdir()) == [".lock", "convert-env", "llama", "zh-models"]

    before = contents(folder)
    again = maker.run("model.sh", "--model", model)
    assert again.returncode == 0 and again.stdout.startswith("Whole already: ")
    assert contents(folder) == before and maker.called().count("convert") == 1


def test_the_folder_of_somebody_who_followed_the_guide(maker: Host, model: Path) -> None:
    folder = shutil.copytree(model, maker.prefix / "zh-models" / "7B")
    done = maker.run("model.sh", "--model", folder, "--name", "Atom-7B-Chat")
    assert done.returncode == 0 and "Alias: atom-7b-chat@" in done.stdout
    assert (folder / F16).read_bytes().startswith(b"f16 of Atom-7B-Chat ")
    assert (folder / "chat-template.jinja").exists()


def test_a_merged_model_of_another_kind(maker: Host, model: Path) -> None:
    """As transformers saves one of Qwen: without tokenizer.model."""
    (model / "tokenizer.model").rename(model / "tokenizer.json")
    done = maker.run("model.sh", "--model", model, "--name", "own-merged", "--type", "q8_0")
    assert done.returncode == 0, done.stderr
    assert "Alias: own-merged@" in done.stdout
    assert not (maker.prefix / "zh-models" / "tokenizer.model").exists()
    again = maker.run("model.sh", "--model", model, "--name", "own-merged", "--type", "q8_0")
    assert again.stdout.startswith("Whole already: ")


@pytest.mark.infra  # runs the script several times
def test_another_type_and_no_f16(maker: Host, model: Path) -> None:
    folder = maker.prefix / "zh-models" / "7B"
    assert maker.run("model.sh", "--model", model, "--drop-f16").returncode == 0
    assert not (folder / F16).exists() and F16 not in read_manifest(folder)["files"]
    assert maker.run("model.sh", "--model", model, "--drop-f16").stdout.startswith("Whole already: ")
    done = maker.run("model.sh", "--model", model, "--type", "Q4_K_M")
    assert done.returncode == 0, done.stderr
    assert {F16, Q8_0, "ggml-model-q4_k_m.gguf"} <= set(read_manifest(folder)["files"])
    assert maker.called().count("convert") == 2


@pytest.mark.infra  # runs the script several times
def test_what_is_damaged_is_made_again(maker: Host, model: Path) -> None:
    folder = maker.prefix / "zh-models" / "7B"
    assert maker.run("model.sh", "--model", model).returncode == 0
    good = (folder / Q8_0).read_bytes()
    (folder / Q8_0).write_bytes(good[:-1] + b"?")
    assert maker.run("model.sh", "--model", model).returncode == 0
    assert (folder / Q8_0).read_bytes() == good and maker.called().count("convert") == 1
    (folder / Q8_0).write_bytes(good[:10])
    (folder / F16).unlink()
    assert maker.run("model.sh", "--model", model).returncode == 0
    assert (folder / Q8_0).read_bytes() == good and maker.called().count("convert") == 2


@pytest.mark.infra  # runs the script several times
def test_verify_reads_what_size_and_time_do_not_tell(maker: Host, model: Path) -> None:
    folder = maker.prefix / "zh-models" / "7B"
    assert maker.run("model.sh", "--model", model).returncode == 0
    good, recorded = (folder / Q8_0).read_bytes(), read_manifest(folder)["files"][Q8_0]["mtime_ns"]
    (folder / Q8_0).write_bytes(good[:-1] + b"?")
    subprocess.run(["touch", "-d", f"@{recorded // 10**9}.{recorded % 10**9:09}", folder / Q8_0], check=True)
    assert maker.run("model.sh", "--model", model).stdout.startswith("Whole already: ")
    assert maker.run("model.sh", "--model", model, "--verify").returncode == 0
    assert (folder / Q8_0).read_bytes() == good


@pytest.mark.infra  # runs the script several times
def test_new_weights_are_converted_again(maker: Host, model: Path) -> None:
    assert maker.run("model.sh", "--model", model).returncode == 0
    shard = model / "model-00002-of-00003.safetensors"
    shard.unlink()
    shard.write_bytes(safetensors(b"\7" * 4096))
    (maker.prefix / "zh-models" / "7B" / shard.name).unlink()
    assert maker.run("model.sh", "--model", model).returncode == 0
    assert b"\7\7\7" in (maker.prefix / "zh-models" / "7B" / F16).read_bytes()
    assert maker.called().count("convert") == 2


@pytest.mark.parametrize(("fails", "step"), [("CONVERT", "convert_hf_to_gguf.py"), ("QUANTIZE", "llama-quantize")])
def test_a_step_that_fails_leaves_nothing_half_done(maker: Host, model: Path, fails: str, step: str) -> None:
    folder = maker.prefix / "zh-models" / "7B"
    done = maker.run("model.sh", "--model", model, **{f"STUB_{fails}_FAILS": "1"})
    assert_refused(done, 4, step, "failed")
    assert not list(folder.glob("*.part")) and not (folder / Q8_0).exists()
    assert maker.run("model.sh", "--model", model).returncode == 0


def test_dry_run_does_nothing(maker: Host, model: Path) -> None:
    before = contents(maker.prefix)
    done = maker.run("model.sh", "--model", model, "--dry-run", "--drop-f16")
    assert done.returncode == 0 and "Nothing was done" in done.stdout
    assert "Would fetch" in done.stdout and "Would remove" in done.stdout
    assert contents(maker.prefix) == before


@pytest.mark.parametrize(
    ("options", "subject", "reason"),
    [
        (["--model", "Atom"], "--model Atom", "neither a folder nor the name of a repository"),
        (["--model", "/tmp", "--revision", "main"], "--revision", "does not go with a folder"),
        (["--name", "Atom 7B"], "--name Atom 7B", "not a plain name"),
        (["--folder", "../7B"], "--folder ../7B", "not a plain name"),
        (["--type", "q9"], "--type q9", "is not a type"),
        (["--type", "f16"], "--type f16", "is not a type"),
        (["--typ", "q8_0"], "--typ", "is not an option"),
    ],
)
def test_wrong_usage(maker: Host, options: list[str], subject: str, reason: str) -> None:
    assert_refused(maker.run("model.sh", *options), 2, subject, reason)
    assert not (maker.prefix / "zh-models").exists()


def test_no_build(host: Host, model: Path) -> None:
    done = host.run("model.sh", "--model", model)
    assert_refused(done, 3, "llama", "holds no build of llama.cpp")
    assert "infra/llama/build.sh" in done.stderr


def test_another_model_in_the_folder(maker: Host, model: Path, tmp_path: Path) -> None:
    assert maker.run("model.sh", "--model", model).returncode == 0
    other = shutil.copytree(model, tmp_path / "Other-7B")
    assert_refused(maker.run("model.sh", "--model", other), 2, "7B", "holds another model")
    assert maker.run("model.sh", "--model", other, "--folder", "other").returncode == 0
    assert not (maker.prefix / "zh-models" / "other" / "chat-template.jinja").exists()


@pytest.mark.parametrize("fault", ["cut", "missing", "no weights", "no tokenizer", "bad config"])
def test_a_folder_that_is_not_a_whole_model(maker: Host, model: Path, fault: str) -> None:
    shard = model / "model-00002-of-00003.safetensors"
    match fault:
        case "cut":
            shard.write_bytes(shard.read_bytes()[:-1])
        case "missing":
            shard.unlink()
        case "no weights":
            for file in model.glob("*safetensors*"):
                file.unlink()
        case "no tokenizer":
            (model / "tokenizer.model").unlink()
        case "bad config":
            (model / "config.json").write_text("{")
    done = maker.run("model.sh", "--model", model)
    assert_refused(done, 4, "7B", "")
    assert not list((maker.prefix / "zh-models" / "7B").glob("*.gguf"))


def test_no_room(maker: Host, model: Path) -> None:
    maker.stub("df")
    # Weights of 12.6 kB, which are linked: as much again as f16, and 17/32 of that as q8_0.
    done = maker.run("model.sh", "--model", model, STUB_FREE="19000")
    assert_refused(done, 5, "zh-models", "Atom-7B-Chat needs 18.8KB")
    assert not (maker.prefix / "zh-models" / "7B").exists()
    assert maker.run("model.sh", "--model", model, STUB_FREE="20000").returncode == 0


def test_no_room_for_a_download(maker: Host, online: dict[str, str]) -> None:
    maker.stub("df")
    done = maker.run("model.sh", STUB_FREE="30000", **online)
    assert_refused(done, 5, "zh-models", "Atom-7B-Chat needs 31.2KB")


def test_no_room_for_the_packages_of_the_conversion(maker: Host, model: Path) -> None:
    (maker.prefix / "convert-env" / ".complete").write_text("those of another llama.cpp")
    maker.stub("df")
    done = maker.run("model.sh", "--model", model, STUB_FREE="1000000000")
    assert_refused(done, 5, "convert-env", "the conversion's packages needs 7")


@pytest.mark.infra  # makes an environment
def test_the_packages_of_the_conversion_cannot_be_installed(maker: Host, model: Path) -> None:
    """They are those that this llama.cpp asks for, but upstream's own index is not asked."""
    (maker.prefix / "convert-env" / ".complete").write_text("those of another llama.cpp")
    done = maker.run("model.sh", "--model", model, PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    assert_refused(done, 4, "pip", "could not install")
    assert "No matching distribution found for" in done.stderr and "--extra-index-url" not in done.stderr
    assert not (maker.prefix / "convert-env" / ".complete").exists()


def test_from_the_hub(maker: Host, hub: FakeHub, online: dict[str, str]) -> None:
    done = maker.run("model.sh", **online)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = maker.prefix / "zh-models" / "7B"
    assert {path.name for path in folder.iterdir()} >= set(atom_files())
    assert not {".cache", "README.md", "pytorch_model.bin"} & {path.name for path in folder.iterdir()}
    manifest = read_manifest(folder)
    assert manifest["source"] == {"model": REPOSITORY, "asked": "", "revision": hub.commit}
    # Nothing is asked where everything is whole.
    assert maker.run("model.sh", HF_ENDPOINT="http://127.0.0.1:9").stdout.startswith("Whole already: ")


@pytest.mark.infra  # runs the script several times
def test_a_download_goes_on(maker: Host, hub: FakeHub, online: dict[str, str]) -> None:
    shard = "model-00003-of-00003.safetensors"
    hub.files[shard] = safetensors(b"x" * (12 << 20))
    hub.cut_after = 11 << 20  # the client writes blocks of 10 MiB
    assert_refused(maker.run("model.sh", **online), 4, "http://127.0.0.1", "")
    assert not (maker.prefix / "zh-models" / "7B" / shard).exists()
    assert maker.run("model.sh", **online).returncode == 0
    assert [wanted for name, wanted in hub.fetched if name == shard] == ["", f"bytes={10 << 20}-"]


@pytest.mark.infra  # runs the script several times
def test_other_bytes_than_the_hub_names(maker: Host, hub: FakeHub, online: dict[str, str]) -> None:
    hub.damaged = "model-00002-of-00003.safetensors"
    folder = maker.prefix / "zh-models" / "7B"
    assert_refused(maker.run("model.sh", **online), 4, hub.damaged, "is not the file that the hub names")
    assert not (folder / hub.damaged).exists() and not list(folder.glob("*.gguf"))
    hub.damaged = None
    assert maker.run("model.sh", **online).returncode == 0
    assert sum(name == "model-00001-of-00003.safetensors" for name, _ in hub.fetched) == 1


def test_a_folder_filled_by_hand_is_not_fetched_again(
    maker: Host, model: Path, hub: FakeHub, online: dict[str, str]
) -> None:
    shutil.copytree(model, maker.prefix / "zh-models" / "7B")
    assert maker.run("model.sh", **online).returncode == 0
    assert not [name for name, _ in hub.fetched if name.endswith(".safetensors")]


@pytest.mark.parametrize(
    ("options", "code", "subject", "reason"),
    [
        (["--revision", "v9"], 2, "--revision", "is not a commit, tag or branch"),
        (["--model", "FlagAlpha/Nothing"], 2, "--model", "is not at http://127.0.0.1"),
    ],
)
def test_not_at_the_hub(
    maker: Host, online: dict[str, str], options: list[str], code: int, subject: str, reason: str
) -> None:
    assert_refused(maker.run("model.sh", *options, **online), code, subject, reason)


def test_no_hub(maker: Host) -> None:
    done = maker.run("model.sh", HF_ENDPOINT="http://127.0.0.1:9")
    assert_refused(done, 4, "http://127.0.0.1:9", "")
    assert "HF_ENDPOINT" in done.stderr


@pytest.mark.infra  # runs the script several times
def test_another_commit_than_the_pinned_one_is_asked_for_by_name(
    maker: Host, hub: FakeHub, online: dict[str, str]
) -> None:
    hub.commit = "e" * 40
    assert_refused(maker.run("model.sh", **online), 2, "--revision", "is not a commit, tag or branch")
    assert maker.run("model.sh", "--revision", "main", **online).returncode == 0
    assert read_manifest(maker.prefix / "zh-models" / "7B")["source"]["revision"] == hub.commit
    assert maker.run("model.sh", **online).stdout.startswith("Whole already: ")


def test_the_revision_stays_until_another_folder_is_named(maker: Host, hub: FakeHub, online: dict[str, str]) -> None:
    assert maker.run("model.sh", "--revision", hub.commit, **online).returncode == 0
    assert maker.run("model.sh", "--revision", hub.commit, **online).stdout.startswith("Whole already: ")
    assert_refused(maker.run("model.sh", "--revision", "f" * 40, **online), 2, "--revision", "is not what")
