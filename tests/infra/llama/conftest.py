"""What the tests of the scripts in infra/llama run in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from llama_host import STUBS, Host

CMAKE_LISTS = """\
set(GIT_DIR "${PROJECT_SOURCE_DIR}/.git")
if (LLAMA_LLGUIDANCE)
    set(LLGUIDANCE_SRC ${CMAKE_BINARY_DIR}/llguidance/source)
    ExternalProject_Add(llguidance_ext
        GIT_REPOSITORY https://github.com/guidance-ai/llguidance
        # v1.0.1:
        GIT_TAG d795912fedc7d393de740177ea9ea761e7905774
        SOURCE_DIR ${LLGUIDANCE_SRC}
    )
endif()
"""


# The places of llama.cpp beside which infra/llama/fast puts its lines, and nothing else of it.
PLACES = {
    "common/llguidance.cpp": ("#ifdef LLAMA_USE_LLGUIDANCE", "#else", "#endif // LLAMA_USE_LLGUIDANCE"),
    "common/sampling.cpp": ("",),
    "common/arg.cpp": ('#include "arg.h"', 'add_opt(common_arg({"-tb", "--threads-batch"}, "N"));'),
    "tools/server/server-context.cpp": (
        '#include "sampling.h"',
        "static common_speculative_output_limits server_output_limits(const common_params & params) {",
        "    auto result = limits(common_speculative_n_max(&params.speculative));",
        "",
        "    result.total   = 1;",
        "    llama_tokens spec_draft;",
        "        generated_token_probs.clear();",
        "            i_batch = batch.size();",
        "cur = get_token_probabilities(ctx_tgt, idx, n_probs_request);",
        "        iterate(slots, [&](server_slot & slot) {",
        "            // optionally send prompt processing progress",
        "            if (!is_inside_view(slot.i_batch)) {",
        "                id = common_sampler_sample(slot.smpl.get(), slot.ctx_tgt, tok_idx);",
        "            common_sampler_accept(slot.smpl.get(), id, true);",
        '        { "build_info",                  meta.build_info },',
    ),
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "the host")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """As much of llama.cpp as the script looks at, in the place where the archive of llama-cpp-python has it."""
    root = tmp_path / "llama_cpp_python-0.0.0" / "vendor" / "llama.cpp"
    for folder in ("tools/server", "common", "conversion", "gguf-py", "requirements"):
        (root / folder).mkdir(parents=True)
    for file in ("CMakeLists.txt", "convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "LICENSE"):
        (root / file).write_text(file)
    (root / "common" / "CMakeLists.txt").write_text(CMAKE_LISTS)
    for name, lines in PLACES.items():
        (root / name).write_text("\n".join(lines))
    return root


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    folder = tmp_path / "llguidance-1.0.1"
    folder.mkdir()
    (folder / "Cargo.toml").write_text('[package]\nname = "llguidance"\nversion = "1.0.1"\n')
    (folder / "llguidance.h").write_text("")
    return folder


@pytest.fixture
def builder(host: Host, tmp_path: Path) -> Host:
    """A host with all that a build needs, and a file for the proof's model."""
    host.stub("cmake", "make", "c++", "cargo", "git", "nvidia-smi")
    toolkit = tmp_path / "cuda-13.0" / "bin"
    toolkit.mkdir(parents=True)
    shutil.copy(STUBS / "nvcc", toolkit)
    host.put("nvcc", toolkit / "nvcc")
    library = tmp_path / "libcublas.so.13"
    library.write_text("cuBLAS")
    host.write("ldd", f'echo "libcublas.so.13 => {library} (0x1)"; echo "libc.so.6 => /lib/libc.so.6 (0x2)"')
    host.write("ldconfig", "")  # no driver
    (tmp_path / "tiny.gguf").write_text("GGUF")
    return host


@pytest.fixture
def offline(source: Path, crate: Path, tmp_path: Path) -> list[str | Path]:
    return ["--source", source, "--llguidance-source", crate, "--proof-model", tmp_path / "tiny.gguf"]
