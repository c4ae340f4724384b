#!/usr/bin/env bash
# Fetch, convert and quantise a model: see --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"
# shellcheck source=model_source.sh
source "$here/model_source.sh"
# shellcheck source=convert_env.sh
source "$here/convert_env.sh"

readonly DEFAULT_MODEL=FlagAlpha/Atom-7B-Chat
# The same command gives the same model next year. Of the commits of its page the newest known by its whole name.
readonly DEFAULT_REVISION=05aeca072a2dfac12dd6facf8e78a3f360b7485f

usage() {
    cat <<EOF
Fetch a model, convert it to GGUF and quantise it, in PREFIX/zh-models/FOLDER.

usage: infra/llama/model.sh [options]

  --prefix DIR        where everything of this project lies on a host (default: /opt/triplelake)
  --model REPO|DIR    a repository of the model hub, or a folder with its files (default: $DEFAULT_MODEL)
  --revision REV      commit, tag or branch of the repository (default: the commit fetched before; else of
                      $DEFAULT_MODEL ${DEFAULT_REVISION::12}, of another model that of main)
  --name NAME         what the model is called in the GGUF and in its alias (default: the last part of --model)
  --folder NAME       folder below zh-models (default: the size in its name, as 7B, else its name)
  --type TYPE         what to quantise to, as llama-quantize calls it (default: q8_0)
  --drop-f16          remove ggml-model-f16.gguf when it was quantised; default is --keep-f16
  --verify            read every file again and compare its hash; default is to trust unchanged size and time
  --dry-run           say what would be done, and do nothing
  --help              this text

Needs what build.sh made. A step whose result is there and whole is skipped; a download goes on where it stopped.
HF_ENDPOINT names another hub or a mirror, HF_TOKEN a key for a closed model, as the hub's own tools read them.
PIP_EXTRA_INDEX_URL may name PyTorch's index of CPU packages, which are far smaller than the 4.9 GB without it.
Exit codes: 0 good, 2 wrong usage, 3 a prerequisite is missing, 4 a step failed, 5 no room on disk.
EOF
}

prefix=/opt/triplelake
model=$DEFAULT_MODEL
revision=
name=
folder_name=
type=q8_0
keep_f16=true
verify=()

while (($#)); do
    case $1 in
        --prefix) require_value "$@" && prefix=$(realpath -m "$2") && shift ;;
        --model) require_value "$@" && model=$2 && shift ;;
        --revision) require_value "$@" && revision=$2 && shift ;;
        --name) require_value "$@" && name=$2 && shift ;;
        --folder) require_value "$@" && folder_name=$2 && shift ;;
        --type) require_value "$@" && type=${2,,} && shift ;;
        --keep-f16) keep_f16=true ;;
        --drop-f16) keep_f16=false ;;
        --verify) verify=(--verify) ;;
        --dry-run) dry_run=true ;;
        --help) usage && exit ;;
        *) unknown_argument "$1" ;;
    esac
    shift
done

llama=$prefix/llama
models=$prefix/zh-models
convert_env=$prefix/convert-env
name=${name:-$(basename "$(realpath -m "$model")")}
# The guide's folders are called after the size: zh-models/7B.
[[ -n $folder_name || ! $name =~ (^|[-_])([0-9.]+[Bb])([-_]|$) ]] || folder_name=${BASH_REMATCH[2]^^}
folder_name=${folder_name:-$name}
folder=$models/$folder_name
manifest=$folder/manifest.json
f16=ggml-model-f16.gguf
quantised=ggml-model-$type.gguf

check_options() {
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] ||
        die "$EXIT_USAGE" "--name $name" "is not a plain name" "Write a name like Atom-7B-Chat, without spaces."
    [[ $folder_name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] ||
        die "$EXIT_USAGE" "--folder $folder_name" "is not a plain name" "Write a name like 7B, without slashes."
    [[ $type =~ ^[a-z0-9_]+$ ]] || die "$EXIT_USAGE" "--type $type" "is not a type" "Write --type q8_0."
    if is_local; then
        [[ -z $revision ]] ||
            die "$EXIT_USAGE" "--revision" "does not go with a folder as --model" "Leave out --revision."
    elif [[ ! $model =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]]; then
        die "$EXIT_USAGE" "--model $model" "is neither a folder nor the name of a repository" \
            "Name a folder that is there, or a repository like $DEFAULT_MODEL."
    fi
    require_writable "$prefix"
}

is_local() {
    [[ -d $model ]]
}

# recorded KEY: what the manifest says of where the model came from.
recorded() {
    python3 "$here/manifest.py" get "$manifest" source "$1"
}

# is_whole NAME...: these files of the folder are still what was recorded.
is_whole() {
    [[ -f $manifest ]] && python3 "$here/manifest.py" whole "$manifest" "$@" "${verify[@]}" >/dev/null
}

check_prerequisites() {
    require_python venv ensurepip
    if [[ ! -x $llama/bin/llama-quantize || ! -f $llama/convert/convert_hf_to_gguf.py ]]; then
        lacks "$llama" "holds no build of llama.cpp" "Run first: infra/llama/build.sh --prefix $prefix"
    fi
    end_if_prerequisites_missing
    # Its help is the one list of the types that this build knows.
    if [[ $type == f16 ]] || ! { "$llama/bin/llama-quantize" --help 2>&1 || true; } | grep -qiw -- "or  *$type"; then
        die "$EXIT_USAGE" "--type $type" "is not a type that llama-quantize makes" \
            "$llama/bin/llama-quantize --help lists them; the usual ones are q8_0, q6_k, q5_k_m and q4_k_m."
    fi
}

# Two models in one folder would be served as one.
check_owner() {
    [[ -f $manifest ]] || return 0
    local owner owned
    owner=$(recorded model)
    owned=$(recorded revision)
    if [[ -n $owner && $owner != "$(identity)" ]]; then
        die "$EXIT_USAGE" "$folder" "holds another model, $owner" "Name another folder: --folder NAME"
    fi
    if [[ -n $owned && -n $revision && $revision != "$owned" && $revision != "$(recorded asked)" ]]; then
        die "$EXIT_USAGE" "--revision $revision" "is not what $folder holds, which is $owned" \
            "Name another folder with --folder, or remove this one first."
    fi
}

# What says which model it is: the repository, or the path of the folder.
identity() {
    if is_local; then
        realpath "$model"
    else
        say "$model"
    fi
}

# Sets what is there and whole. Once, since with --verify every look reads all the files.
look() {
    fetched=false f16_whole=false quantised_whole=false
    if is_whole config.json tokenizer.model '*.json' '*.safetensors' && [[ -f $models/tokenizer.model ]]; then
        fetched=true
    fi
    ! is_whole "$f16" || f16_whole=true
    ! is_whole "$quantised" || quantised_whole=true
}

needs_f16() {
    ! $f16_whole && { $keep_f16 || ! $quantised_whole; }
}

is_done() {
    $fetched && $quantised_whole && ! needs_f16 && { $keep_f16 || [[ ! -e $folder/$f16 ]]; }
}

# is_linked: the files of a folder on the same disk take no room a second time.
is_linked() {
    is_local && [[ $(stat --format=%d "$model") == $(stat --format=%d "$models") ]]
}

check_room() {
    local weights bytes
    weights=$(python3 "$here/model_files.py" weigh "$work/source.json")
    bytes=0
    is_linked || bytes=$(python3 "$here/model_files.py" lacking "$work/source.json" "$folder")
    ! needs_f16 || bytes=$((bytes + weights))
    # q8_0 takes 34 bytes for 32 weights of two bytes each; the other types take less.
    $quantised_whole || bytes=$((bytes + weights * 34 / 64))
    require_disk "$models" "$bytes" "$name"
}

record() {
    python3 "$here/manifest.py" record "$manifest" "$@"
}

convert() {
    say "Converting to $f16 …"
    # The name goes into the GGUF, and from there into the alias that answers carry; it would be the folder's.
    HF_HUB_OFFLINE=1 logged "$log" "$convert_env/bin/python" "$llama/convert/convert_hf_to_gguf.py" "$folder" \
        --outtype f16 --outfile "$folder/$f16.part" --model-name "$name" ||
        step_failed "convert_hf_to_gguf.py"
    mv "$folder/$f16.part" "$folder/$f16"
    record "$f16" --set "made_with=$(python3 "$here/manifest.py" get "$llama/manifest.json" built llama_cpp)"
}

quantise() {
    say "Quantising to $quantised …"
    logged "$log" "$llama/bin/llama-quantize" "$folder/$f16" "$folder/$quantised.part" "$type" ||
        step_failed "llama-quantize"
    mv "$folder/$quantised.part" "$folder/$quantised"
    record "$quantised"
}

step_failed() {
    die "$EXIT_FAILED" "$1" "failed; all that it said is in $log" \
        "When the cause is gone, run the same command again: it goes on from there."
}

drop_f16() {
    if [[ -e $folder/$f16 ]]; then
        rm "$folder/$f16"
        record
    fi
}

tell_result() {
    local hash
    hash=$(python3 "$here/manifest.py" get "$manifest" files "$quantised" sha256)
    say "Model: $folder/$quantised"
    say "Alias: ${name,,}@${hash:0:12}"
    [[ ! -f $folder/chat-template.jinja ]] || say "Template: $folder/chat-template.jinja"
}

main() {
    check_options
    check_owner
    look
    if is_done; then
        say "Whole already: $folder"
        tell_result
        return
    fi
    check_prerequisites
    if $dry_run; then
        tell_plan
        return
    fi
    lock "$prefix"
    work=$prefix/.model-work
    log=$work/model.log
    mkdir -p "$work" "$models"
    trap 'rm -f "$folder"/*.gguf.part' EXIT
    make_convert_env
    list_source
    check_room
    $fetched || fetch
    ! needs_f16 || convert
    $quantised_whole || quantise
    $keep_f16 || drop_f16
    rm -rf "$work"
    tell_result
}

tell_plan() {
    $fetched || say "Would fetch $model${revision:+ at $revision} into $folder."
    ! needs_f16 || say "Would convert it to $folder/$f16."
    $quantised_whole || say "Would quantise that to $folder/$quantised."
    $keep_f16 || say "Would remove $folder/$f16."
    say "Nothing was done (--dry-run)."
}

main
