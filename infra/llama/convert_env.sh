# The environment in which model.sh and adapter.sh convert to GGUF. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2154 # its variables are those of the scripts

make_convert_env() {
    local requirements=$llama/convert/requirements
    # Upstream names an index of its own; which index is asked is for this host's pip to say.
    sed '/^-/d' "$requirements"/requirements-convert_{legacy_llama,hf_to_gguf}.txt >"$work/requirements.txt"
    if [[ -f $convert_env/.complete ]] && cmp -s "$work/requirements.txt" "$convert_env/.complete"; then
        return
    fi
    say "Installing the packages that the conversion needs into $convert_env …"
    # Measured: 4.9 GB, and while pip works the packages themselves.
    require_disk "$convert_env" $((7 << 30)) "the conversion's packages"
    rm -rf "$convert_env"
    python3 -m venv "$convert_env"
    logged "$log" "$convert_env/bin/python" -m pip install --no-cache-dir --disable-pip-version-check \
        -r "$work/requirements.txt" ||
        die "$EXIT_FAILED" "pip" "could not install them; all that it said is in $log" \
            "Check the network and pip's settings, then run this again."
    mv "$work/requirements.txt" "$convert_env/.complete"
}
