"""build.sh: what it refuses, what it tells CMake, and that a build is there as a whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from llama_host import LLAMA, STUBS, Host, assert_refused, contents, read_manifest

PROGRAMS = ("llama-server", "llama-quantize", "llama-batched-bench")


def test_all_missing_prerequisites_are_told_at_once(host: Host, source: Path) -> None:
    host.write("apt-get", "")
    done = host.run("build.sh", "--arch", "90", "--source", source)
    for tool, package in (
        ("cmake", "cmake"),
        ("make", "make"),
        ("c++", "g++"),
        ("cargo", "rustup"),
        ("nvcc", "nvidia-"),
    ):
        assert_refused(done, 3, tool, "is not installed")
        assert f"apt-get install -y {package}" in done.stderr
    assert "--cuda-from-pypi" in done.stderr and "--no-llguidance" in done.stderr
    assert not host.prefix.exists()


def test_the_command_that_installs_is_that_of_the_host(host: Host, source: Path) -> None:
    host.write("dnf", "")
    done = host.run("build.sh", "--cpu", "--no-llguidance", "--source", source)
    assert "dnf install -y gcc-c++" in done.stderr and "apt-get" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "subject", "reason"),
    [
        ({"STUB_CMAKE_VERSION": "3.16.3"}, "cmake", "older than 3.18"),
        ({"STUB_CARGO_VERSION": "1.63.0"}, "cargo", "older than 1.82"),
        ({"STUB_NO_OPENSSL": "1"}, "openssl/ssl.h", "not installed"),
    ],
)
def test_a_prerequisite_that_does_not_do(
    builder: Host, offline: list[str | Path], variables: dict[str, str], subject: str, reason: str
) -> None:
    assert_refused(builder.run("build.sh", "--cpu", *offline, **variables), 3, subject, reason)
    assert not builder.prefix.exists()


def test_no_gpu_and_none_named(builder: Host, offline: list[str | Path]) -> None:
    (builder.bin / "nvidia-smi").unlink()
    done = builder.run("build.sh", *offline)
    assert_refused(done, 3, "nvidia-smi", "finds no GPU")
    assert "--cpu" in done.stderr and "--arch" in done.stderr


def test_no_git_access_for_llguidance(builder: Host, source: Path) -> None:
    done = builder.run("build.sh", "--cpu", "--source", source)
    assert_refused(done, 3, "guidance-ai/llguidance", "cannot be reached with git")
    assert "--llguidance-source" in done.stderr


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        (["--cpu", "--arch", "90"], "--cpu"),
        (["--cpu", "--force-cublas"], "--cpu"),
        (["--cpu", "--cuda-from-pypi"], "--cpu"),
        (["--arch", "9.0"], "--arch 9.0"),
        (["--arch", "90,"], "--arch 90,"),
        (["--jobs", "0"], "--jobs 0"),
        (["--jobs", "--cpu"], "--jobs"),
        (["--tag"], "--tag"),
        (["--tag", "b1", "--source", "/tmp"], "--tag"),
        (["--source", "/not/there"], "--source /not/there"),
        (["--source", "/usr/bin"], "--source /usr/bin"),
        (["--llguidance-source", "/tmp"], "--llguidance-source /tmp"),
        (["--no-llguidance", "--llguidance-source", "/tmp"], "--no-llguidance"),
        (["--proof-model", "/not/there"], "--proof-model /not/there"),
        (["--cublas"], "--cublas"),
    ],
)
def test_wrong_usage(builder: Host, options: list[str], subject: str) -> None:
    assert_refused(builder.run("build.sh", *options), 2, subject, "")
    assert not builder.prefix.exists()


def test_a_prefix_that_is_a_file(builder: Host, offline: list[str | Path]) -> None:
    builder.prefix.write_text("")
    assert_refused(builder.run("build.sh", "--cpu", *offline), 2, str(builder.prefix), "is not a folder")


def test_a_prefix_that_every_user_can_write(builder: Host, offline: list[str | Path]) -> None:
    builder.prefix.mkdir(parents=True, exist_ok=True)
    builder.prefix.chmod(0o1777)
    done = builder.run("build.sh", "--cpu", *offline)
    assert_refused(done, 2, str(builder.prefix), "can be written by every user")
    assert not any(builder.prefix.iterdir())


@pytest.mark.parametrize(("given", "used"), [("000", "0022"), ("002", "0022"), ("027", "0027"), ("077", "0077")])
def test_whatever_the_umask_nobody_else_may_change_what_is_built(given: str, used: str) -> None:
    words = ["bash", "-c", f"umask {given}; . {LLAMA}/common.sh; umask"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == used


def test_a_crate_of_another_version(builder: Host, source: Path, crate: Path) -> None:
    (crate / "Cargo.toml").write_text('[package]\nname = "llguidance"\nversion = "1.9.0"\n')
    done = builder.run("build.sh", "--cpu", "--source", source, "--llguidance-source", crate)
    assert_refused(done, 2, str(crate), "is not the crate llguidance 1.0.1")


def test_dry_run_does_nothing(builder: Host, offline: list[str | Path]) -> None:
    done = builder.run("build.sh", "--dry-run", *offline)
    assert done.returncode == 0, done.stderr
    assert "architectures 80,90" in done.stdout and "Nothing was done" in done.stdout
    assert not builder.prefix.exists() and not builder.called()


def test_llguidance_is_told_of_the_spaces_in_tokens(tmp_path: Path) -> None:
    file = tmp_path / "llguidance.cpp"
    file.write_text(
        "auto        size  = llama_detokenize(vocab, &token, 1, dp, max_token, false, false);\n"
        "size = llama_detokenize(vocab, &token, 1, dp + 1, max_token - 1, false, true);\n"
        "/* .tokenize_fn                        = */ llama_sampler_llg_tokenize_fn,\n"
        "/* .use_approximate_greedy_tokenize_fn = */ false,\n"
    )

    def mend() -> str:
        script = f'source common.sh; source source.sh; mend_spaces "{file}"'
        return subprocess.run(["bash", "-ec", script], cwd=LLAMA, check=True, capture_output=True, text=True).stdout

    assert mend() == ""
    mended = file.read_text()
    assert "llama_detokenize" not in mended and mended.count("llama_token_to_piece(vocab, token, dp") == 2
    assert "LLAMA_VOCAB_TYPE_SPM ? nullptr : llama_sampler_llg_tokenize_fn," in mended
    assert "*/ llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_SPM," in mended
    file.write_text("another version\n")
    assert "answer.grammar: gbnf" in mend()


def test_a_build_and_the_same_again(
    builder: Host, offline: list[str | Path], source: Path, crate: Path, tmp_path: Path
) -> None:
    before = contents(source) | contents(crate)
    done = builder.run("build.sh", "--cpu", "--jobs", "3", *offline)
    assert done.returncode == 0, done.stdout + done.stderr

    llama = builder.prefix / "llama"
    manifest = read_manifest(llama)
    assert set(manifest["files"]) == {f"bin/{program}" for program in PROGRAMS}
    assert all(os.access(llama / name, os.X_OK) for name in manifest["files"])
    assert manifest["inputs"]["source"].startswith("folder sha256:")
    assert manifest["inputs"]["mended"] == "llguidance sees the spaces of SentencePiece tokens"
    assert manifest["inputs"]["architectures"] == "none" and manifest["built"]["cuda"] == ""
    assert manifest["built"]["compiler"] == "g++ (stub) 12.2.0" and manifest["built"]["cargo"].startswith("cargo 1.90")
    assert manifest["proof"]["free"] == " Paris." and manifest["proof"]["llguidance"] == "周树人"
    for name in ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py"):
        assert (llama / "convert" / name).is_file()

    called = builder.called()
    assert "-DLLAMA_LLGUIDANCE=ON" in called and "-DBUILD_SHARED_LIBS=OFF" in called and "CUDA" not in called
    assert "--parallel 3 --target llama-server llama-quantize llama-batched-bench" in called
    patched = Path(f"{builder.calls}.common").read_text()
    assert 'DOWNLOAD_COMMAND ""' in patched and "GIT_TAG" not in patched
    assert f'set(LLGUIDANCE_SRC "{builder.prefix}/.llama-build/llguidance")' in patched
    assert contents(source) | contents(crate) == before
    assert sorted(path.name for path in builder.prefix.iterdir()) == [".lock", "llama"]

    again = builder.run("build.sh", "--cpu", "--jobs", "1", *offline)
    assert again.returncode == 0 and again.stdout == f"Built already: {llama}\n"
    assert builder.called() == called


@pytest.mark.parametrize("change", ["option", "source", "damage"])
def test_what_makes_it_build_again(builder: Host, offline: list[str | Path], source: Path, change: str) -> None:
    assert builder.run("build.sh", *offline).returncode == 0
    options = list(offline)
    match change:
        case "option":
            options += ["--force-cublas"]
        case "source":
            (source / "CMakeLists.txt").write_text("changed")
        case "damage":
            (builder.prefix / "llama" / "bin" / "llama-server").write_text("#!/bin/false")
    assert builder.run("build.sh", *options).returncode == 0
    assert builder.called().count("configure") == 2
    assert (builder.prefix / "llama" / "bin" / "llama-server").read_bytes() == (STUBS / "llama-server").read_bytes()


def test_cuda_for_the_gpus_found(builder: Host, offline: list[str | Path]) -> None:
    done = builder.run("build.sh", "--force-cublas", *offline)
    assert done.returncode == 0, done.stdout + done.stderr
    called = builder.called()
    assert "-DCMAKE_CUDA_ARCHITECTURES=80-real;90-real " in called
    assert "-DGGML_CUDA_FORCE_CUBLAS=ON" in called and "-DGGML_CUDA_NO_VMM=ON" in called
    assert "-DCMAKE_INSTALL_RPATH=$ORIGIN/../lib" in called
    manifest = read_manifest(builder.prefix / "llama")
    assert manifest["inputs"]["architectures"] == "80,90" and manifest["built"]["cuda"] == "13.0"
    assert manifest["files"]["lib/libcublas.so.13"]["bytes"] == 6 and "lib/libc.so.6" not in manifest["files"]


def test_named_architectures_and_a_driver(builder: Host, offline: list[str | Path]) -> None:
    builder.write("ldconfig", 'echo "libcuda.so (libc6,x86-64) => /usr/lib/libcuda.so"')
    assert builder.run("build.sh", "--arch", "89;120a", *offline).returncode == 0
    assert "-DCMAKE_CUDA_ARCHITECTURES=89-real;120a-real " in builder.called()
    assert "NO_VMM" not in builder.called() and "-DGGML_CUDA_FORCE_CUBLAS=OFF" in builder.called()


def test_archives(builder: Host, offline: list[str | Path], source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source.parent.parent, source.parent.parent.name)
    options = ["--cpu", *offline, "--source", archive]
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(archive.read_bytes()[:200])
    assert_refused(builder.run("build.sh", *options, "--source", damaged), 4, str(damaged), "cannot be unpacked")
    assert not (builder.prefix / "llama").exists()
    assert builder.run("build.sh", *options).returncode == 0
    assert read_manifest(builder.prefix / "llama")["inputs"]["source"].startswith("archive sha256:")


def test_a_clone_of_the_tag(builder: Host, source: Path, offline: list[str | Path]) -> None:
    options = ["--cpu", *offline[2:]]
    network = {"STUB_REPOSITORY": str(source), "STUB_COMMIT": "0c1e57098bba43ac29e6e3b677cdceebdd22334f"}
    assert_refused(builder.run("build.sh", *options), 4, "ggml-org/llama.cpp", "b11312 cannot be cloned")
    moved = builder.run("build.sh", *options, **network | {"STUB_COMMIT": "f" * 40})
    assert_refused(moved, 4, "tag b11312", "is commit ffff")
    assert not (builder.prefix / "llama").exists()
    done = builder.run("build.sh", *options, **network)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_manifest(builder.prefix / "llama")["built"]["llama_cpp"] == "11312-0c1e57098"


def test_a_failed_build_goes_on_and_leaves_the_old_one(builder: Host, offline: list[str | Path]) -> None:
    assert builder.run("build.sh", "--cpu", *offline).returncode == 0
    old = contents(builder.prefix / "llama")
    failed = builder.run("build.sh", *offline, STUB_BUILD_FAILS="1")
    assert_refused(failed, 4, "the build", "failed")
    assert "fatal error: no such header" in failed.stderr
    assert contents(builder.prefix / "llama") == old
    (builder.prefix / ".llama-build" / "source" / "kept").write_text("")
    assert builder.run("build.sh", *offline, STUB_BUILD_FAILS="1").returncode == 4
    assert (builder.prefix / ".llama-build" / "source" / "kept").exists()
    assert builder.run("build.sh", *offline).returncode == 0
    assert not (builder.prefix / ".llama-build").exists()


def test_work_of_another_command_is_not_mixed_in(builder: Host, offline: list[str | Path]) -> None:
    assert builder.run("build.sh", *offline, STUB_BUILD_FAILS="1").returncode == 4
    (builder.prefix / ".llama-build" / "source" / "stale").write_text("")
    assert builder.run("build.sh", "--cpu", *offline, STUB_BUILD_FAILS="1").returncode == 4
    assert not (builder.prefix / ".llama-build" / "source" / "stale").exists()


def test_no_room(builder: Host, offline: list[str | Path]) -> None:
    builder.stub("df")
    done = builder.run("build.sh", "--cpu", *offline, STUB_FREE="1000000")
    assert_refused(done, 5, str(builder.prefix), "has 976.6KB free")
    assert not builder.prefix.exists()


def test_a_server_that_fails_the_proof_is_not_installed(builder: Host, offline: list[str | Path]) -> None:
    assert builder.run("build.sh", "--cpu", *offline).returncode == 0
    old = contents(builder.prefix / "llama")
    done = builder.run("build.sh", *offline, FAKE_LLAMA="fails open")
    assert_refused(done, 4, "llama-server", "which the llguidance grammar does not allow")
    assert contents(builder.prefix / "llama") == old


def test_a_build_without_llguidance(builder: Host, source: Path, tmp_path: Path) -> None:
    (builder.bin / "cargo").unlink()
    options = ["--cpu", "--no-llguidance", "--source", source, "--proof-model", tmp_path / "tiny.gguf"]
    done = builder.run("build.sh", *options, FAKE_LLAMA="no llguidance")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-DLLAMA_LLGUIDANCE=OFF" in builder.called()
    assert "400" in read_manifest(builder.prefix / "llama")["proof"]["llguidance"]


def test_without_a_model_the_manifest_says_so_until_there_is_one(
    builder: Host, offline: list[str | Path], tmp_path: Path
) -> None:
    # Scripts that lie in no checkout with an environment, where the package of the small model would be found.
    builder.scripts = shutil.copytree(LLAMA, tmp_path / "scripts")
    done = builder.run("build.sh", "--cpu", *offline[:4])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Not proved" in done.stdout
    assert read_manifest(builder.prefix / "llama")["proof"] == "not run: no small model was found"
    assert builder.run("build.sh", "--cpu", *offline).returncode == 0
    assert read_manifest(builder.prefix / "llama")["proof"]["gbnf"] == "鲁迅"
    assert builder.called().count("configure") == 1


def test_two_at_a_time(builder: Host, offline: list[str | Path]) -> None:
    builder.prefix.mkdir()
    with (builder.prefix / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert_refused(builder.run("build.sh", "--cpu", *offline), 4, str(builder.prefix), "another run works there")
