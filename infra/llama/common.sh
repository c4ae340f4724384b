# What the scripts of infra/llama share. Sourced, never run.
# shellcheck shell=bash

# Exit codes, the same in every script of infra/. 1 is left to defects of the scripts themselves.
# shellcheck disable=SC2034 # used by the scripts that source this file
readonly EXIT_USAGE=2 EXIT_PREREQUISITE=3 EXIT_FAILED=4 EXIT_NO_ROOM=5

# What is built here is run, often by root: nobody else may exchange it, whatever umask this shell has.
umask go-w

dry_run=false

say() {
    printf '%s\n' "$*"
}

# complain INPUT REASON REMEDY...
complain() {
    printf 'error: %s: %s\n' "$1" "$2" >&2
    printf '  %s\n' "${@:3}" >&2
}

# die EXIT_CODE INPUT REASON REMEDY...
die() {
    complain "${@:2}"
    exit "$1"
}

# run COMMAND...: with --dry-run it is only told.
run() {
    if $dry_run; then
        printf 'would run:'
        printf ' %q' "$@"
        printf '\n'
    else
        "$@"
    fi
}

# require_value OPTION [VALUE...]: call it with "$@" before $2 is read.
require_value() {
    if (($# < 2)) || [[ $2 == --* ]]; then
        die "$EXIT_USAGE" "$1" "needs a value" "See --help."
    fi
}

unknown_argument() {
    die "$EXIT_USAGE" "$1" "is not an option of this command" "See --help."
}

sha256_of() {
    sha256sum -- "$1" | cut -d ' ' -f 1
}

# tree_sha256 FOLDER: of names and contents; times and owners do not count, nor does what git and builds leave there.
tree_sha256() {
    tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "${NOT_SOURCE[@]}" -C "$1" . |
        sha256sum | cut -d ' ' -f 1
}

# copy_tree FROM TO: what tree_sha256 counts.
copy_tree() {
    mkdir -p "$2"
    tar --create "${NOT_SOURCE[@]}" -C "$1" . | tar --extract -C "$2"
}

readonly NOT_SOURCE=(--exclude=./.git --exclude=./build --exclude=./target)

# install_command APT_PACKAGES DNF_PACKAGES
install_command() {
    if command -v apt-get >/dev/null; then
        say "Install it: apt-get install -y $1"
    elif command -v dnf >/dev/null; then
        say "Install it: dnf install -y $2"
    else
        say "Install the package $1 (Debian, Ubuntu) or $2 (Fedora, RHEL)."
    fi
}

# lacks NAME REASON REMEDY...: tell of a missing prerequisite, and go on to find the others.
lacks() {
    complain "$@"
    prerequisites_missing=true
}

prerequisites_missing=false

# require_tool TOOL APT_PACKAGES DNF_PACKAGES
require_tool() {
    command -v "$1" >/dev/null || lacks "$1" "is not installed" "$(install_command "$2" "$3")"
}

# require_python MODULE...: Python 3.10 or newer with these modules.
require_python() {
    if ! command -v python3 >/dev/null; then
        lacks python3 "is not installed" "$(install_command "python3 python3-venv" python3)"
    elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        lacks python3 "is older than 3.10" "Put a newer python3 first on the PATH."
    elif (($#)) && ! python3 -c "import $(IFS=,; printf '%s' "$*")" 2>/dev/null; then
        lacks python3 "cannot make environments (modules $*)" "$(install_command python3-venv python3)"
    fi
}

end_if_prerequisites_missing() {
    ! $prerequisites_missing || exit "$EXIT_PREREQUISITE"
}

# at_least VERSION MINIMUM
at_least() {
    [[ $(printf '%s\n' "$2" "$1" | sort --version-sort | head -n 1) == "$2" ]]
}

existing_parent() {
    local folder=$1
    until [[ -d $folder ]]; do
        folder=$(dirname "$folder")
    done
    printf '%s\n' "$folder"
}

human_bytes() {
    numfmt --to=iec --suffix=B --format=%.1f "$1"
}

# require_disk FOLDER BYTES WHAT
require_disk() {
    local free
    free=$(df --output=avail --block-size=1 "$(existing_parent "$1")" | tail -n 1)
    ((free >= $2)) ||
        die "$EXIT_NO_ROOM" "$1" "has $(human_bytes "$free") free; $3 needs $(human_bytes "$2")" \
            "Make room there, or name a folder on a larger disk with --prefix."
}

# require_writable FOLDER: it, or the folder that it will be made in.
require_writable() {
    [[ ! -e $1 || -d $1 ]] || die "$EXIT_USAGE" "$1" "is not a folder" "Name a folder with --prefix."
    # A folder of one's own in /tmp is one's own; that others may write to it is another thing.
    [[ ! -d $1 || -z $(find -H "$1" -maxdepth 0 -perm /0002) ]] ||
        die "$EXIT_USAGE" "$1" "can be written by every user, who could exchange what is built and run there" \
            "chmod o-w $1, or name another folder with --prefix."
    [[ -w $(existing_parent "$1") ]] ||
        die "$EXIT_USAGE" "$1" "cannot be written by $(id -un)" "Run this as root, or name another folder with --prefix."
}

# lock FOLDER: two runs never work in one folder at a time.
lock() {
    mkdir -p "$1"
    exec 9>"$1/.lock"
    flock --nonblock 9 || die "$EXIT_FAILED" "$1" "another run works there" "Wait for it to end, then run this again."
}

# logged LOG COMMAND...: its output goes to LOG; when it fails, the last lines are shown.
logged() {
    local log=$1
    shift
    "$@" >>"$log" 2>&1 9>&- || {
        tail -n 15 "$log" >&2
        return 1
    }
}
