# What serve.sh refuses before it starts a server. Sourced, never run; reads the variables that serve.sh has set.
# shellcheck shell=bash disable=SC2154

check_files() {
    [[ -x $binary ]] || die "$EXIT_PREREQUISITE" "$binary" "no llama-server is there" \
        "Build it with infra/llama/build.sh, or name it with --binary."
    [[ -r $model ]] || die "$EXIT_PREREQUISITE" "$model" "no readable model is there" \
        "Make it with infra/llama/model.sh, or name it with --model."
    [[ -z $lora || -r $lora ]] || die "$EXIT_PREREQUISITE" "$lora" "no readable adapter is there" \
        "Make it with infra/llama/adapter.sh, or name it with --lora."
    # llama-server takes a comma for the end of a file's name.
    [[ $lora != *,* ]] || die "$EXIT_USAGE" "--lora $lora" "names several files, or holds a comma" \
        "Name one file; a server for each adapter, in pools of their own."
    [[ -z $chat_template || -r $chat_template ]] ||
        die "$EXIT_USAGE" "$chat_template" "cannot be read" "Check --chat-template."
    require_python
    end_if_prerequisites_missing
}

check_keys() {
    if [[ -n $key_file ]]; then
        check_secret "$key_file"
        # llama-server would take the carriage return for a part of the key, and refuse every client.
        ! grep --quiet $'\r' "$key_file" ||
            die "$EXIT_USAGE" "$key_file" "its lines end in a carriage return" "sed -i 's/\\r\$//' $key_file"
        grep --quiet '^[^#]' "$key_file" ||
            die "$EXIT_USAGE" "$key_file" "holds no key" "openssl rand -hex 32 > $key_file"
        return
    fi
    case $host in
        127.* | ::1 | localhost) ;;
        10.* | 192.168.* | 172.1[6-9].* | 172.2[0-9].* | 172.3[01].* | fd*)
            say "note: no keys: whoever reaches $host:$port may use the server"
            ;;
        *)
            die "$EXIT_USAGE" "--host $host" "is open to the world, and there are no keys" \
                "Bind to a private address, or give --api-key-file (openssl rand -hex 32 > FILE; chmod 600 FILE)."
            ;;
    esac
}

check_secret() {
    [[ -f $1 ]] || die "$EXIT_USAGE" "$1" "is not there" "Make it with: openssl rand -hex 32 > $1; chmod 600 $1"
    [[ $(stat --dereference --format=%a "$1") == *0 ]] ||
        die "$EXIT_USAGE" "$1" "may be used by every user of this machine" "chmod o= $1"
    [[ -r $1 ]] ||
        die "$EXIT_USAGE" "$1" "cannot be read by $(id -un)" "chown root:$(id -gn) $1; chmod 640 $1"
}

check_tls() {
    [[ -n $tls_cert || -n $tls_key ]] || return 0
    [[ -n $tls_cert && -n $tls_key ]] ||
        die "$EXIT_USAGE" "--tls-cert, --tls-key" "one is given without the other" "Give both."
    [[ -r $tls_cert ]] || die "$EXIT_USAGE" "$tls_cert" "cannot be read" "Check --tls-cert."
    check_secret "$tls_key"
}

check_port() {
    local problem
    problem=$(
        python3 - "$host" "$port" <<'PYTHON'
import errno, socket, sys
host, port = sys.argv[1], int(sys.argv[2])
try:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        # As llama-server does, so that connections which are only waiting to be forgotten do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
except (OSError, OverflowError) as error:
    print("taken" if getattr(error, "errno", 0) == errno.EADDRINUSE else getattr(error, "strerror", "") or error)
PYTHON
    )
    case $problem in
        '') ;;
        taken)
            die "$EXIT_PREREQUISITE" "$host:$port" "the port is taken" \
                "Name another with --port. Who has it: ss -ltnp 'sport = :$port'"
            ;;
        *)
            die "$EXIT_USAGE" "$host:$port" "cannot be bound to ($problem)" \
                "Name an address of this machine (ip -brief address) and a port up to 65535."
            ;;
    esac
}
