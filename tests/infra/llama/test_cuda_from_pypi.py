"""The CUDA compiler from the package index, with a package of this test's own in its place."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from llama_host import STUBS, Host, read_manifest

pytestmark = pytest.mark.infra  # makes an environment

EXTRAS = ("nvcc", "nvvm", "crt", "cudart", "cublas", "cccl")
EXECUTABLE, PLAIN = (stat.S_IFREG | 0o755) << 16, (stat.S_IFREG | 0o644) << 16


@pytest.fixture
def index(tmp_path: Path) -> dict[str, str]:
    """The variables that make pip ask a folder with one package, which holds what the real ones do, empty."""
    folder = tmp_path / "index"
    folder.mkdir()
    metadata = "Metadata-Version: 2.1\nName: cuda-toolkit\nVersion: 13.0.2\n"
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        "nvidia/cu13/bin/nvcc": ((STUBS / "nvcc").read_text(), EXECUTABLE),
        "nvidia/cu13/lib/libcudart.so.13": ("cudart", PLAIN),
        "nvidia/cu13/lib/libcublas.so.13": ("cublas", PLAIN),
        "cuda_toolkit-13.0.2.dist-info/METADATA": (metadata + "".join(f"Provides-Extra: {e}\n" for e in EXTRAS), PLAIN),
        "cuda_toolkit-13.0.2.dist-info/WHEEL": (tags, PLAIN),
        "cuda_toolkit-13.0.2.dist-info/RECORD": ("", PLAIN),
    }
    with zipfile.ZipFile(folder / "cuda_toolkit-13.0.2-py3-none-any.whl", "w") as wheel:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode
            wheel.writestr(entry, content)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}


def test_a_build_with_it(builder: Host, offline: list[str | Path], index: dict[str, str]) -> None:
    (builder.bin / "nvcc").unlink()
    options = ["--cuda-from-pypi", "--arch", "90", *offline]
    done = builder.run("build.sh", *options, **index)
    assert done.returncode == 0, done.stdout + done.stderr
    toolkit = builder.prefix / "cuda-env" / "toolkit"
    assert f"-DCMAKE_CUDA_COMPILER={toolkit}/bin/nvcc" in builder.called()
    assert f"-rpath-link,{toolkit}/lib64" in builder.called()
    assert (toolkit / "lib64" / "libcudart.so").read_text() == "cudart"
    manifest = read_manifest(builder.prefix / "llama")
    assert "13.0.2" in manifest["inputs"]["cuda"] and manifest["built"]["cuda"] == "13.0"

    # Another build takes what is there.
    assert builder.run("build.sh", *options, "--force-cublas", **index | {"PIP_FIND_LINKS": ""}).returncode == 0
