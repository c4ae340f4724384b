#!/usr/bin/env bash
# Turn a LoRA adapter into a GGUF that a server adds to its model: see --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"
# shellcheck source=convert_env.sh
source "$here/convert_env.sh"

usage() {
    cat <<'EOF'
Turn a LoRA adapter of peft into a GGUF, in PREFIX/adapters/NAME, that serve.sh --lora adds to its model.

usage: infra/llama/adapter.sh --adapter DIR [options]

  --prefix DIR        where everything of this project lies on a host (default: /opt/triplelake)
  --adapter DIR       what peft saved: adapter_config.json and adapter_model.safetensors
  --base DIR          folder with the config.json of the model that it was trained on; needs no weights
                      (default: base_model_name_or_path of the adapter, where that is a folder)
  --name NAME         what the adapter is called in its file and in the alias (default: the last part of --adapter;
                      of …/NAME/adapter it is NAME)
  --type TYPE         of its numbers: f32, f16, bf16 or q8_0 (default: f32, which holds all that was trained)
  --model FILE        the GGUF that it will be served with; an adapter that does not fit it is refused
  --verify            read the file again and compare its hash; default is to trust unchanged size and time
  --dry-run           say what would be done, and do nothing
  --help              this text

Needs what build.sh made. Without it, in an environment that has torch and transformers, as that of make setup-train:
  python infra/llama/adapter_gguf.py --adapter DIR --base DIR --out NAME.gguf
To merge an adapter instead, save the merged model with its tokenizer in a folder, and convert that:
  infra/llama/model.sh --model DIR --name NAME --type q8_0
Exit codes: 0 good, 2 wrong usage, 3 a prerequisite is missing, 4 a step failed, 5 no room on disk.
EOF
}

prefix=/opt/triplelake
adapter=
base=
name=
type=f32
model=
verify=()

while (($#)); do
    case $1 in
        --prefix) require_value "$@" && prefix=$(realpath -m "$2") && shift ;;
        --adapter) require_value "$@" && adapter=$(realpath -m "$2") && shift ;;
        --base) require_value "$@" && base=$(realpath -m "$2") && shift ;;
        --name) require_value "$@" && name=$2 && shift ;;
        --type) require_value "$@" && type=${2,,} && shift ;;
        --model) require_value "$@" && model=$(realpath -m "$2") && shift ;;
        --verify) verify=(--verify) ;;
        --dry-run) dry_run=true ;;
        --help) usage && exit ;;
        *) unknown_argument "$1" ;;
    esac
    shift
done

llama=$prefix/llama
convert_env=$prefix/convert-env
script=$llama/convert/convert_lora_to_gguf.py

check_options() {
    [[ -n $adapter ]] || die "$EXIT_USAGE" "--adapter" "is missing" "Name the folder that peft saved."
    if [[ -z $name ]]; then
        name=$(basename "$adapter")
        [[ $name != adapter ]] || name=$(basename "$(dirname "$adapter")")
    fi
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] ||
        die "$EXIT_USAGE" "--name $name" "is not a plain name" "Write a name like news-v2, without spaces."
    [[ $type =~ ^(f32|f16|bf16|q8_0)$ ]] ||
        die "$EXIT_USAGE" "--type $type" "is not one of: f32 f16 bf16 q8_0" "Leave it out for f32."
    require_python
    end_if_prerequisites_missing
    [[ -n $base ]] || find_base
    [[ -z $model || -r $model ]] ||
        die "$EXIT_USAGE" "--model $model" "cannot be read" "Name the GGUF that the adapter will be served with."
    python3 "$here/adapter_gguf.py" --adapter "$adapter" --base "$base"
    require_writable "$prefix"
    folder=$prefix/adapters/$name
    manifest=$folder/manifest.json
    file=$name.gguf
    identity=$(sha256sum "$adapter"/adapter_{config.json,model.*} "$base/config.json" | cut -d ' ' -f 1 | sha256sum)
    identity=${identity%% *}
}

# Where an adapter was trained on a folder, peft wrote down which.
find_base() {
    base=$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1])).get("base_model_name_or_path") or "")' "$adapter/adapter_config.json" 2>/dev/null) || base=
    [[ -d $base ]] || die "$EXIT_USAGE" "--base" "is missing, and $adapter names no folder" \
        "Name the folder with the config.json of the model that the adapter was trained on."
}

is_done() {
    [[ -f $manifest ]] && python3 "$here/manifest.py" whole "$manifest" "$file" "${verify[@]}" \
        --set "source.identity=$identity" --set "type=$type" >/dev/null
}

check_prerequisites() {
    require_python venv ensurepip
    if [[ ! -d $llama/convert/requirements ]]; then
        lacks "$llama" "holds no build of llama.cpp" "Run first: infra/llama/build.sh --prefix $prefix" \
            "Without one: python infra/llama/adapter_gguf.py --adapter $adapter --base $base --out $file"
    fi
    end_if_prerequisites_missing
}

convert() {
    local options=(--adapter "$adapter" --base "$base" --out "$folder/$file" --type "$type")
    # A build that an older build.sh made holds no such script: it is then fetched.
    [[ ! -f $script ]] || options+=(--script "$script")
    [[ -z $model ]] || options+=(--model "$model")
    say "Converting to $file …"
    "$convert_env/bin/python" "$here/adapter_gguf.py" "${options[@]}" 9>&-
}

# The card says what it was trained on; an evaluation looks for it beside the adapter.
copy_card() {
    local place
    rm -f "$folder/card.json"
    for place in "$adapter" "$(dirname "$adapter")"; do
        if [[ -f $place/card.json ]]; then
            cp "$place/card.json" "$folder/card.json"
            return
        fi
    done
    say "note: no card.json lies beside the adapter, so that no evaluation knows what it was trained on"
}

record() {
    local files=("$file")
    [[ ! -f $folder/card.json ]] || files+=(card.json)
    python3 "$here/manifest.py" record "$manifest" "${files[@]}" --set "name=$name" --set "type=$type" \
        --set "source.adapter=$adapter" --set "source.base=$base" --set "source.identity=$identity" \
        --set "made_with=$(python3 "$here/manifest.py" get "$llama/manifest.json" built llama_cpp)"
}

tell_result() {
    say "Adapter: $folder/$file"
    say "SHA-256: $(python3 "$here/manifest.py" get "$manifest" files "$file" sha256)"
    say "Serve it: infra/llama/serve.sh --model ${model:-MODEL.gguf} --lora $folder/$file"
}

main() {
    check_options
    if is_done; then
        say "Whole already: $folder"
        tell_result
        return
    fi
    check_prerequisites
    if $dry_run; then
        say "Would convert $adapter, of the model in $base, to $folder/$file."
        say "Nothing was done (--dry-run)."
        return
    fi
    lock "$prefix"
    work=$prefix/.adapter-work
    log=$work/adapter.log
    mkdir -p "$work" "$folder"
    make_convert_env
    convert
    copy_card
    record
    rm -rf "$work"
    tell_result
}

main
