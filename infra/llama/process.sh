#!/usr/bin/env bash
# Runs a host's llama-servers where no systemd does: a container, a test host.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"

usage() {
    cat <<'HELP'
Usage: process.sh start|stop|restart|status PORT [--prefix DIR] [--dry-run]

Runs serve.sh with the settings of PREFIX/etc/llama-server@PORT.env, as a process of its own session and as the user
SERVE_USER of these settings. Its number is kept in PREFIX/run, its log in PREFIX/log.
It does not start a server again that has died, and limits no memory: systemd does both (llama-server@.service).

  stop      TERM, and KILL after 10 seconds: what is in flight is lost, so drain it first
  status    ends with 0 if the server runs, else with 3
  --prefix  /opt/triplelake
HELP
}

read_arguments() {
    prefix=/opt/triplelake action='' port=''
    while (($#)); do
        case $1 in
            --help) usage && exit ;;
            --dry-run) dry_run=true && shift ;;
            --prefix) require_value "$@" && prefix=$2 && shift 2 ;;
            start | stop | restart | status) action=$1 && shift ;;
            [0-9]*) port=$1 && shift ;;
            *) unknown_argument "$1" ;;
        esac
    done
    [[ -n $action && -n $port ]] || die "$EXIT_USAGE" "process.sh" "needs an action and a port" "See --help."
    settings=$prefix/etc/llama-server@$port.env
    pid_file=$prefix/run/llama-server@$port.pid
    log=$prefix/log/llama-server@$port.log
}

# The number of the running server; nothing if there is none. Numbers are used again, so the command line counts too.
running_pid() {
    local pid
    pid=$(cat "$pid_file" 2>/dev/null) || return 0
    if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep --quiet --fixed-strings -- "$prefix/"; then
        echo "$pid"
    fi
}

start() {
    [[ -z $(running_pid) ]] || return 0
    [[ -r $settings ]] || die "$EXIT_PREREQUISITE" "$settings" "there are no settings for this port" "Deploy them first."
    # As systemd reads them: what `tune` has found, then what the inventory says.
    set -a
    # shellcheck source=/dev/null
    [[ ! -r $prefix/etc/tuned.env ]] || source "$prefix/etc/tuned.env"
    # shellcheck source=/dev/null
    source "$settings"
    set +a
    local as_user=()
    [[ $(id -un) == "${SERVE_USER:?}" ]] ||
        as_user=(setpriv --reuid "$SERVE_USER" --regid "$(id -g "$SERVE_USER")" --init-groups)
    if $dry_run; then
        run setsid "${as_user[@]}" "$here/serve.sh"
        return
    fi
    mkdir -p "$prefix/run" "$prefix/log"
    setsid "${as_user[@]}" "$here/serve.sh" </dev/null >>"$log" 2>&1 &
    echo $! >"$pid_file"
}

stop() {
    local pid deadline=$((SECONDS + 10))
    pid=$(running_pid)
    if [[ -n $pid ]]; then
        run kill -TERM "$pid"
        $dry_run && return
        while [[ -n $(running_pid) ]]; do
            # A server that hangs ignores TERM, and a second one does no more than KILL.
            ((SECONDS < deadline)) || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.1
        done
    fi
    run rm -f "$pid_file"
}

main() {
    read_arguments "$@"
    case $action in
        start) start ;;
        stop) stop ;;
        restart)
            stop
            start
            ;;
        status) [[ -n $(running_pid) ]] || exit "$EXIT_PREREQUISITE" ;;
    esac
}

main "$@"
