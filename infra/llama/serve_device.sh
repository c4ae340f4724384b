# Which card and which cores one server of a host gets. Sourced by serve.sh, never run; needs its variables and settings.
# shellcheck shell=bash disable=SC2154,SC2034

# Sets device, gpu, memory_mib and servers (of this host).
find_device() {
    local wanted cards=0
    wanted=$(choice_setting device auto auto gpu cpu)
    if [[ $wanted != cpu ]] && command -v nvidia-smi >/dev/null; then
        cards=$(nvidia-smi --list-gpus 2>/dev/null | grep --count '^GPU') || true
    fi
    if ((cards > 0)); then
        device=gpu gpu=$((index / servers_per_gpu))
    else
        [[ $wanted != gpu ]] || die "$EXIT_PREREQUISITE" "--device gpu" "nvidia-smi finds no GPU" \
            "Mend the driver until nvidia-smi lists a card; for a host without one: --device cpu"
        device=cpu cards=1
    fi
    servers=$((cards * servers_per_gpu))
    ((index < servers)) || die "$EXIT_USAGE" "--index $index" "this host has $servers servers" \
        "Take an index from 0 to $((servers - 1)), or raise --servers-per-gpu."
    if [[ $device == gpu ]]; then
        memory_mib=$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits --id="$gpu")
    else
        memory_mib=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
    fi
}

# Sets cores: this server's part of them, so that two which poll for work never share one. Empty: all of the machine.
choose_cores() {
    cores=
    ((servers > 1)) || return 0
    local part first last each usable=()
    for part in $(taskset --cpu-list --pid $$ | sed 's/.*: //; s/,/ /g'); do
        IFS=- read -r first last <<<"$part"
        for ((each = first; each <= ${last:-first}; each++)); do usable+=("$each"); done
    done
    local share=$((${#usable[@]} / servers)) IFS=,
    if ((share > 0)); then
        cores="${usable[*]:index*share:share}"
    else
        say "note: ${#usable[@]} cores for $servers servers: they are not pinned, and will wait for one another"
    fi
}

# Sets threads; empty: what llama-server takes by itself.
choose_threads() {
    local default=
    if [[ $device == cpu && $servers -gt 1 ]]; then
        default=$(tr ',' '\n' <<<"${cores:-0}" | wc -l)
    elif [[ $device == gpu && $servers_per_gpu -gt 1 ]]; then
        # The layers are on the GPU; more threads only poll, each on a core that another server's sampling needs.
        default=2
    fi
    threads=$(setting threads "$default")
}

note_mps() {
    [[ $device == gpu && $servers_per_gpu -gt 1 ]] || return 0
    [[ ! -e ${CUDA_MPS_PIPE_DIRECTORY:-/tmp/nvidia-mps}/control ]] || return 0
    say "note: $servers_per_gpu servers take turns on GPU $gpu, since no MPS daemon runs. As user $(id -un):" \
        "CUDA_MPS_PIPE_DIRECTORY=FOLDER nvidia-cuda-mps-control -d, with the same variable in the servers' settings."
}
