# What build.sh does about source code: which it is, and a copy of it that is ready to build. Sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # its variables are those of build.sh

readonly LLAMA_REPOSITORY=https://github.com/ggml-org/llama.cpp
readonly DEFAULT_TAG=b11312
readonly DEFAULT_COMMIT=0c1e57098bba43ac29e6e3b677cdceebdd22334f

readonly LLGUIDANCE_REPOSITORY=https://github.com/guidance-ai/llguidance
readonly LLGUIDANCE_VERSION=1.0.1
# What mend_spaces does, for the manifest.
readonly MENDED_SPACES="llguidance sees the spaces of SentencePiece tokens"

check_source() {
    if [[ -d $source_path ]]; then
        root_of_llama "$source_path" >/dev/null ||
            die "$EXIT_USAGE" "--source $source_path" "holds no source of llama.cpp" "Name the folder with CMakeLists.txt."
    elif [[ -n $source_path && ! -f $source_path ]]; then
        die "$EXIT_USAGE" "--source $source_path" "is not there" "Name a folder or an archive with the source of llama.cpp."
    fi
}

check_llguidance_source() {
    if [[ ! -f $llguidance_source/llguidance.h ]] ||
        ! grep -qx "version = \"$LLGUIDANCE_VERSION\"" "$llguidance_source/Cargo.toml" 2>/dev/null; then
        die "$EXIT_USAGE" "--llguidance-source $llguidance_source" "is not the crate llguidance $LLGUIDANCE_VERSION" \
            "Name the folder with its Cargo.toml and llguidance.h, as cargo unpacks it from the Rust package registry."
    fi
}

# root_of_llama FOLDER: the folder of llama.cpp in what a checkout or an archive holds.
root_of_llama() {
    local candidate
    for candidate in "$1" "$1"/* "$1"/vendor/llama.cpp "$1"/*/vendor/llama.cpp; do
        if [[ -f $candidate/convert_hf_to_gguf.py && -d $candidate/tools/server ]]; then
            say "$candidate"
            return
        fi
    done
    return 1
}

# Sets source_identity, llguidance_identity and fast_identity, and the build_number and build_commit that the server
# tells of itself.
identify_source() {
    local hash
    build_number=0
    if [[ -d $source_path ]]; then
        hash=$(tree_sha256 "$(root_of_llama "$source_path")")
        source_identity="folder sha256:$hash"
        build_commit=${hash:0:12}
    elif [[ -n $source_path ]]; then
        hash=$(sha256_of "$source_path")
        source_identity="archive sha256:$hash"
        build_commit=${hash:0:12}
    else
        tag=${tag:-$DEFAULT_TAG}
        source_identity="tag $tag"
        build_commit=$tag
        [[ ! $tag =~ ^b[0-9]+$ ]] || build_number=${tag#b}
        [[ $tag != "$DEFAULT_TAG" ]] || build_commit=${DEFAULT_COMMIT:0:9}
    fi
    if [[ $llguidance == OFF ]]; then
        llguidance_identity=none
    elif [[ -n $llguidance_source ]]; then
        llguidance_identity="crate sha256:$(tree_sha256 "$llguidance_source")"
    else
        llguidance_identity="clone that llama.cpp names"
    fi
    fast_identity=none
    # Without this engine there is nothing that it could make faster.
    [[ $llguidance == ON ]] || fast=false
    ! $fast || fast_identity="sha256:$(cat "$here"/fast/*.h "$here"/fast/*.inc "$here"/fast/apply.py | sha256sum | cut -d ' ' -f 1)"
}

check_llguidance_prerequisites() {
    # What Debian 12 and Ubuntu 22.04 call cargo is too old for llguidance.
    if ! command -v cargo >/dev/null; then
        lacks cargo "is not installed, and llguidance is built with it" \
            "$(install_command rustup rustup) && rustup default stable" "Or build without this engine: --no-llguidance."
    elif ! at_least "$(cargo --version | cut -d ' ' -f 2)" 1.82; then
        lacks cargo "is older than 1.82" "Run: rustup update stable"
    fi
    if [[ -z $llguidance_source ]] && command -v git >/dev/null && ! can_reach "$LLGUIDANCE_REPOSITORY"; then
        lacks "$LLGUIDANCE_REPOSITORY" "cannot be reached with git" \
            "Name the unpacked crate llguidance $LLGUIDANCE_VERSION with --llguidance-source, or build without: --no-llguidance."
    fi
}

can_reach() {
    GIT_TERMINAL_PROMPT=0 timeout 30 git ls-remote --exit-code "$1" HEAD >/dev/null 2>&1
}

# Makes $work/source, which may be changed: never the folder that the user named.
fetch_source() {
    [[ ! -d $work/source ]] || return 0
    rm -rf "$work/part"
    if [[ -d $source_path ]]; then
        copy_tree "$(root_of_llama "$source_path")" "$work/part"
    elif [[ -n $source_path ]]; then
        unpack_source
    else
        clone_source
    fi
    if [[ -n $llguidance_source ]]; then
        copy_tree "$llguidance_source" "$work/llguidance"
        use_llguidance_from "$work/llguidance" "$work/part/common/CMakeLists.txt"
    fi
    [[ $llguidance == OFF ]] || mend_spaces "$work/part/common/llguidance.cpp"
    ! $fast || make_fast "$work/part"
    mv "$work/part" "$work/source"
}

unpack_source() {
    local root
    mkdir -p "$work/part.archive"
    tar --extract --file "$source_path" -C "$work/part.archive" ||
        die "$EXIT_FAILED" "--source $source_path" "cannot be unpacked" "Name a whole tar archive, or fetch it again."
    root=$(root_of_llama "$work/part.archive") ||
        die "$EXIT_USAGE" "--source $source_path" "holds no source of llama.cpp" \
            "Name an archive of llama.cpp, or the source archive of llama-cpp-python."
    mv "$root" "$work/part"
    rm -rf "$work/part.archive"
}

clone_source() {
    local commit
    say "Cloning llama.cpp $tag …"
    GIT_TERMINAL_PROMPT=0 git -c advice.detachedHead=false clone --quiet --depth 1 --branch "$tag" \
        "$LLAMA_REPOSITORY" "$work/part" ||
        die "$EXIT_FAILED" "$LLAMA_REPOSITORY" "the tag $tag cannot be cloned" \
            "Check the network and the tag, or name a local copy with --source."
    commit=$(git -C "$work/part" rev-parse HEAD)
    if [[ $tag == "$DEFAULT_TAG" && $commit != "$DEFAULT_COMMIT" ]]; then
        die "$EXIT_FAILED" "tag $tag" "is commit $commit, and $DEFAULT_COMMIT was tested" \
            "Somebody moved the tag. Look at the difference, then name the source with --source."
    fi
}

# use_llguidance_from FOLDER CMAKE_FILE: build the library from a local folder where llama.cpp would clone it.
use_llguidance_from() {
    sed -i -E \
        -e "s|set\(LLGUIDANCE_SRC .*\)|set(LLGUIDANCE_SRC \"${1//[&|]/\\&}\")|" \
        -e 's|GIT_REPOSITORY +[^ ]*/llguidance|DOWNLOAD_COMMAND ""|' \
        -e '/GIT_TAG/d' "$2"
    if grep -qE 'GIT_(REPOSITORY|TAG)' "$2" || ! grep -q "# v$LLGUIDANCE_VERSION:" "$2" || ! grep -qF "$1" "$2"; then
        die "$EXIT_FAILED" "common/CMakeLists.txt" "does not clone llguidance $LLGUIDANCE_VERSION as this script expects" \
            "Build the tag $DEFAULT_TAG, leave out --llguidance-source, or build without: --no-llguidance."
    fi
}

# make_fast FOLDER: what fast/README.md tells of.
make_fast() {
    local misfit
    misfit=$(python3 "$here/fast/apply.py" "$1" 2>&1) ||
        die "$EXIT_FAILED" "this source of llama.cpp" "is not as infra/llama/fast knows it: $misfit" \
            "Build the tag $DEFAULT_TAG, or with the server's own way of choosing tokens: --no-fast."
}

# mend_spaces FILE: llama.cpp hands llguidance the tokens of Llama-2 and its like as they stand at the start of a text,
# without their leading space, and splits what a grammar forces as if a space came before it. A token then fits where it
# does not, the grammar fails in the middle of an answer, and the rest of the answer is free.
mend_spaces() {
    local spaces='llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_SPM'
    [[ ! -f $1 ]] || sed -i \
        -e 's|llama_detokenize(vocab, &token, 1, dp, max_token, false, false)|llama_token_to_piece(vocab, token, dp, max_token, 0, false)|' \
        -e 's|llama_detokenize(vocab, &token, 1, dp + 1, max_token - 1, false, true)|llama_token_to_piece(vocab, token, dp + 1, max_token - 1, 0, true)|' \
        -e "s#\*/ llama_sampler_llg_tokenize_fn,#*/ $spaces ? nullptr : llama_sampler_llg_tokenize_fn,#" \
        -e "s#\(use_approximate_greedy_tokenize_fn = \*/\) false,#\1 $spaces,#" "$1"
    if [[ $(grep -c 'llama_token_to_piece(\|LLAMA_VOCAB_TYPE_SPM' "$1" 2>/dev/null) != 4 ]]; then
        say "note: common/llguidance.cpp is not as this script knows it, so that Llama-2's like may need answer.grammar: gbnf"
    fi
}
