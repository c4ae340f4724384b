# What build.sh does about CUDA: which GPUs, which compiler, which libraries the server needs with it. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # its variables are those of build.sh

# One pin for the compiler and all its libraries. A server built with 13.0 runs with every driver of the 13 series (580 on).
readonly CUDA_FROM_PYPI="cuda-toolkit[nvcc,nvvm,crt,cudart,cublas,cccl]==13.0.2"

# gpu_architectures: the compute capabilities of this host's GPUs, as 90 or 80,90.
gpu_architectures() {
    nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
        sed -n 's/^ *\([0-9]*\)\.\([0-9]*\) *$/\1\2/p' | sort -un | paste -sd ,
}

# check_architectures LIST
check_architectures() {
    [[ $1 =~ ^[0-9]{2,3}[af]?(,[0-9]{2,3}[af]?)*$ ]] ||
        die "$EXIT_USAGE" "--arch $1" "is not a list of compute capabilities" \
            "Write them without the dot and with commas between: --arch 90, or --arch 80,90."
}

# system_toolkit: the folder of the host's CUDA toolkit, or nothing.
system_toolkit() {
    local nvcc
    nvcc=$(command -v nvcc || command -v /usr/local/cuda/bin/nvcc || true)
    [[ -z $nvcc ]] || dirname "$(dirname "$(readlink -f "$nvcc")")"
}

check_cuda_prerequisites() {
    if $cuda_from_pypi; then
        require_python venv ensurepip
    elif [[ -z $(system_toolkit) ]]; then
        lacks nvcc "is not installed" "Bring it into a folder of its own, without touching the host: --cuda-from-pypi" \
            "Or $(install_command nvidia-cuda-toolkit cuda-toolkit)"
    fi
}

# Sets toolkit; installs it first where that was asked for.
find_toolkit() {
    if ! $cuda_from_pypi; then
        toolkit=$(system_toolkit)
        return
    fi
    toolkit=$cuda_env/toolkit
    if [[ $(cat "$cuda_env/.complete" 2>/dev/null) != "$CUDA_FROM_PYPI" ]]; then
        say "Installing the CUDA compiler into $cuda_env …"
        logged "$log" install_toolkit_from_pypi "$cuda_env" || build_failed "$CUDA_FROM_PYPI"
    fi
}

# cuda_version TOOLKIT
cuda_version() {
    "$1/bin/nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p'
}

# install_toolkit_from_pypi ENVIRONMENT: nvcc and its libraries; `toolkit` in it is the folder that CMake is to be told.
install_toolkit_from_pypi() {
    local root library
    rm -rf "$1"
    python3 -m venv "$1" || return
    "$1/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check "$CUDA_FROM_PYPI" || return
    root=$("$1/bin/python" -c 'import nvidia; print(next(iter(nvidia.__path__)))')/cu13 || return
    # The packages carry libcudart.so.13 alone, and CMake looks for libcudart.so in lib64.
    for library in "$root"/lib/lib*.so.*; do
        ln -sfn "$(basename "$library")" "${library%%.so.*}.so"
    done
    ln -sfn lib "$root/lib64"
    ln -sfn "$root" "$1/toolkit"
    printf '%s' "$CUDA_FROM_PYPI" >"$1/.complete"
}

# A server that links the driver's library starts on hosts with a driver only, and this host has to start it for the proof.
driver_can_be_linked() {
    ldconfig -p 2>/dev/null | grep -q 'libcuda\.so '
}

# One CMake option a line.
cuda_options() {
    say "-DGGML_CUDA=ON"
    # Code for these GPUs only: PTX for unknown ones would double the size and the time.
    say "-DCMAKE_CUDA_ARCHITECTURES=$(sed 's/,/-real;/g; s/$/-real/' <<<"$architectures")"
    say "-DGGML_CUDA_FORCE_CUBLAS=$force_cublas"
    # One server never spans several GPUs here.
    say "-DGGML_CUDA_NCCL=OFF"
    driver_can_be_linked || say "-DGGML_CUDA_NO_VMM=ON"
    say "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON"
    say "-DCMAKE_INSTALL_RPATH=\$ORIGIN/../lib"
}

# toolkit_options TOOLKIT
toolkit_options() {
    say "-DCUDAToolkit_ROOT=$1"
    say "-DCMAKE_CUDA_COMPILER=$1/bin/nvcc"
    # Old dtags: what stands beside the server is then also found by the libraries that stand there.
    say "-DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath-link,$1/lib64,--disable-new-dtags"
}

# bundle_cuda_libraries TOOLKIT SERVER FOLDER: with them beside it the server needs nothing but the driver on any host.
bundle_cuda_libraries() {
    local library
    mkdir -p "$3"
    LD_LIBRARY_PATH=$1/lib64 ldd "$2" | sed -n 's/.* => \(.*\/lib\(cudart\|cublas\|cublasLt\)\.so[^ ]*\) .*/\1/p' |
        while read -r library; do
            cp --dereference "$library" "$3/"
        done
}
