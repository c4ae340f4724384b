#!/usr/bin/env bash
# Starts one llama-server for batch work, in the foreground: its own process becomes the server, so that whatever
# supervises this script supervises the server.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"
# shellcheck source=serve_checks.sh
source "$here/serve_checks.sh"
# shellcheck source=serve_device.sh
source "$here/serve_device.sh"

# Every option has a variable of a settings file: --kv-type is SERVE_KV_TYPE. An option is stronger.
options=(prefix binary model lora alias chat-template host port index servers-per-gpu device slots context-per-slot
  kv-type kv-layout batch ubatch threads api-key-file tls-cert tls-key)

usage() {
  cat <<'HELP'
Usage: serve.sh [OPTION VALUE]… [--dry-run]

Starts one llama-server in the foreground; its log goes to stderr. Each option can also be given as a variable, so that
systemd can read it from a settings file: --kv-type q8_0 is SERVE_KV_TYPE=q8_0.

What is served
  --prefix DIR            where build.sh and model.sh have put things (/opt/triplelake)
  --binary FILE           the server (PREFIX/llama/bin/llama-server)
  --model FILE            the GGUF (PREFIX/zh-models/7B/ggml-model-q8_0.gguf)
  --lora FILE             LoRA adapter of that model, a GGUF; one server has one, and so has every server of a pool
  --alias NAME@HASH       what answers call the model (the GGUF's own name @ the start of its SHA-256; with an adapter
                          NAME+ADAPTER@ the start of the SHA-256 of two lines: that of the model, that of the adapter)
  --chat-template FILE    Jinja template (chat-template.jinja beside the model, if there)

Where
  --host ADDRESS          a private address (127.0.0.1); an address open to the world needs keys
  --port N                8080 + the index
  --api-key-file FILE     keys, one a line, readable by the server's user only
  --tls-cert FILE --tls-key FILE

Size
  --device auto|gpu|cpu   auto: the GPU if there is one
  --servers-per-gpu K     servers that share a card (1); on a CPU host, that share the machine
  --index I               which of the host's servers this is, from 0; its card is I / K
  --slots N               answers decoded at once (what fits the memory, at most 32 on a GPU, 4 on a CPU)
  --context-per-slot N    tokens of prompt and answer (3072)
  --kv-type f16|q8_0      type of the KV cache (q8_0 on a GPU, f16 on a CPU)
  --kv-layout split|unified
  --batch N, --ubatch N   tokens of a batch, and of one pass over the weights (2048, 1024; 512 on a CPU)
  --threads N             (the cores of its share on a CPU; 2 where servers share a GPU)

  --dry-run               print the sizes and the command, start nothing

Exit codes: 2 usage, 3 something is missing here, 4 the model file is not whole. After the start, those of llama-server.
HELP
}

read_options() {
    while (($#)); do
        case $1 in
            --help) usage && exit ;;
            --dry-run) dry_run=true && shift ;;
            *)
                [[ $1 == --* && " ${options[*]} " == *" ${1#--} "* ]] || unknown_argument "$1"
                require_value "$@"
                printf -v "$(variable_of "${1#--}")" '%s' "$2"
                shift 2
                ;;
        esac
    done
}

variable_of() {
    local name=${1^^}
    printf 'SERVE_%s' "${name//-/_}"
}

# setting OPTION DEFAULT
setting() {
    local variable
    variable=$(variable_of "$1")
    printf '%s' "${!variable:-$2}"
}

# number_setting OPTION DEFAULT LEAST
number_setting() {
    local value
    value=$(setting "$1" "$2")
    if [[ ! $value =~ ^[0-9]{1,9}$ ]] || ((10#$value < $3)); then
        die "$EXIT_USAGE" "--$1 $value" "is no number from $3 upwards" "Leave it out for $2."
    fi
    printf '%d' "$((10#$value))"
}

# choice_setting OPTION DEFAULT CHOICE...
choice_setting() {
    local value
    value=$(setting "$1" "$2")
    [[ " ${*:3} " == *" $value "* ]] || die "$EXIT_USAGE" "--$1 $value" "is not one of: ${*:3}" "See --help."
    printf '%s' "$value"
}

read_settings() {
    prefix=$(setting prefix /opt/triplelake)
    binary=$(setting binary "$prefix/llama/bin/llama-server")
    model=$(setting model "$prefix/zh-models/7B/ggml-model-q8_0.gguf")
    lora=$(setting lora '')
    # Where model.sh has put one, the GGUF lacks it.
    chat_template=$(dirname "$model")/chat-template.jinja
    [[ -f $chat_template ]] || chat_template=
    chat_template=$(setting chat-template "$chat_template")
    index=$(number_setting index 0 0)
    servers_per_gpu=$(number_setting servers-per-gpu 1 1)
    host=$(setting host 127.0.0.1)
    port=$(number_setting port $((8080 + index)) 1)
    key_file=$(setting api-key-file '')
    tls_cert=$(setting tls-cert '')
    tls_key=$(setting tls-key '')
    kv_layout=$(choice_setting kv-layout split split unified)
    batch=$(number_setting batch 2048 1)
}

# Settings whose default goes by the device. On a CPU host memory is not what is short, and its passes are small.
read_sizes() {
    local kv_type_default=f16 ubatch_default=512
    [[ $device == cpu ]] || kv_type_default=q8_0 ubatch_default=1024
    kv_type=$(choice_setting kv-type $kv_type_default f16 q8_0)
    ubatch=$(number_setting ubatch $ubatch_default 1)
    local slots_by_hand per_slot_wanted sizes adapter=()
    [[ -z $lora ]] || adapter=(--lora "$lora")
    slots_by_hand=$(number_setting slots 0 0)
    per_slot_wanted=$(number_setting context-per-slot 3072 256)
    sizes=$(python3 "$here/sizing.py" --model "$model" "${adapter[@]}" --device "$device" --memory-mib "$memory_mib" \
        --servers "$servers_per_gpu" --kv-type "$kv_type" --slots "$slots_by_hand" --context-per-slot "$per_slot_wanted")
    read -r slots per_slot name <<<"$sizes"
}

read_alias() {
    alias=$(setting alias '')
    [[ -z $alias ]] || return 0
    say "alias     needs the SHA-256 of $model; --alias NAME@HASH saves the time"
    local hash
    hash=$(sha256_of "$model")
    # Of both, so that answers with one adapter are never taken for those with another or without any.
    [[ -z $lora ]] || hash=$(printf '%s\n%s\n' "$hash" "$(sha256_of "$lora")" | sha256sum)
    alias=$name@${hash:0:12}
}

# Sets command, an array.
assemble_command() {
    command=("$binary" --model "$model" --alias "$alias" --host "$host"
        # Always named: the default has moved once.
        --port "$port"
        # Named, since without it four slots share one pool, and an overflow fails the work of all.
        --parallel "$slots"
        # A quantised KV cache needs it.
        --flash-attn on --cache-type-k "$kv_type" --cache-type-v "$kv_type"
        # Prompts are short and many: a batch takes several, a pass over the weights is as long as one.
        --batch-size "$batch" --ubatch-size "$ubatch"
        # The sizes are meant as they are; nothing is to be made smaller silently.
        --fit off
        # The cache of old prompts in the host's memory stalls the main loop and grows; this job comes back to none.
        --cache-ram 0 --ctx-checkpoints 0
        # What the job, the watchdog and the deployment look at.
        --metrics
        --no-ui --offline
        # Warnings and errors only: a line for each request would be most of the log.
        --log-verbosity 2)
    if [[ $kv_layout == split ]]; then
        # Each slot has a part of its own, so that a long request cannot fail another.
        command+=(--no-kv-unified --ctx-size $((slots * per_slot)))
    else
        # One pool for all slots at their limit, so that it cannot overflow either.
        command+=(--kv-unified --kv-unified-per-slot "$per_slot")
    fi
    if [[ $device == gpu ]]; then
        command+=(--gpu-layers all)
        # In the order of nvidia-smi, which has counted the cards.
        export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=$gpu
    else
        command+=(--device none)
    fi
    [[ -z $lora ]] || command+=(--lora "$lora")
    [[ -z $threads ]] || command+=(--threads "$threads" --threads-batch "$threads")
    [[ -z $key_file ]] || command+=(--api-key-file "$key_file")
    [[ -z $tls_cert ]] || command+=(--ssl-cert-file "$tls_cert" --ssl-key-file "$tls_key")
    [[ -z $chat_template ]] || command+=(--chat-template-file "$chat_template")
    [[ -z $cores ]] || command=(taskset --cpu-list "$cores" "${command[@]}")
}

main() {
    read_options "$@"
    read_settings
    check_files
    check_keys
    check_tls
    find_device
    choose_cores
    choose_threads
    note_mps
    read_sizes
    read_alias
    assemble_command
    say "device    $device${gpu:+ $gpu}${cores:+, cores $cores}${threads:+, $threads threads}"
    say "address   $host:$port, keys: ${key_file:-none}, TLS: ${tls_cert:-none}"
    say "command  $(printf ' %q' "${command[@]}")"
    if $dry_run; then
        exit
    fi
    check_port
    exec "${command[@]}" >&2
}

main "$@"
