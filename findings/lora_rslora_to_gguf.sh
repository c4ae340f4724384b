#!/bin/sh
# llama.cpp's convert_lora_to_gguf.py (of PyPI llama-cpp-python 0.3.36) passes over rsLoRA and alpha_pattern in silence.
#
# peft adds such an adapter with alpha / sqrt(r), or with an alpha of its own for some layers. A GGUF adapter has one
# alpha, and llama.cpp adds it with alpha / r. The conversion ends with 0 and says nothing, and what is served is another
# model than the one that was trained: of rank 16, a quarter of the adapter. Prints:
#     adapters that peft scales differently: plain 1.0, rslora 4.0, pattern 8.0
#     after the conversion: plain 1.0, rslora 1.0, pattern 1.0
# It fetches torch (its build for CPUs is enough) and 77 MB of source.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch transformers==5.24.0 peft==0.21.2 safetensors sentencepiece
"$folder/env/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
    --dest "$folder" llama-cpp-python==0.3.36
tar --extract --file "$folder/llama_cpp_python-0.3.36.tar.gz" --directory "$folder"
cat > "$folder/find.py" <<'PYTHON'
import subprocess
import sys
from pathlib import Path

from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

folder = Path(sys.argv[1])
source = folder / "llama_cpp_python-0.3.36" / "vendor" / "llama.cpp"
sys.path.insert(0, str(source / "gguf-py"))
from gguf import GGUFReader

small = {"vocab_size": 32, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
kinds = {"plain": {}, "rslora": {"use_rslora": True}, "pattern": {"alpha_pattern": {"q_proj": 128}}}
trained, served = {}, {}
for kind, options in kinds.items():
    model = LlamaForCausalLM(LlamaConfig(**small))
    model.config.architectures = ["LlamaForCausalLM"]
    model.config.save_pretrained(folder / kind)
    tuned = get_peft_model(model, LoraConfig(r=16, lora_alpha=16, target_modules=["q_proj"], **options))
    tuned.save_pretrained(folder / kind / "adapter")
    trained[kind] = tuned.base_model.model.model.layers[0].self_attn.q_proj.scaling["default"]
    words = [folder / kind / "adapter", "--base", folder / kind, "--outfile", folder / f"{kind}.gguf"]
    subprocess.run([sys.executable, source / "convert_lora_to_gguf.py", *words], check=True, capture_output=True)
    served[kind] = float(GGUFReader(folder / f"{kind}.gguf").fields["adapter.lora.alpha"].contents()) / 16
print("adapters that peft scales differently:", ", ".join(f"{kind} {scale}" for kind, scale in trained.items()))
print("after the conversion:", ", ".join(f"{kind} {scale}" for kind, scale in served.items()))
assert trained == {"plain": 1.0, "rslora": 4.0, "pattern": 8.0}
assert served == {"plain": 1.0, "rslora": 1.0, "pattern": 1.0}
PYTHON
"$folder/env/bin/python" "$folder/find.py" "$folder" 2>/dev/null
