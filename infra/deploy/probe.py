"""Runs on a host, sent there as text: tells what is there, and changes nothing. Python 3.7 and its standard library."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import socket
import subprocess
import sys


def main() -> None:
    asked = json.loads(sys.argv[1])
    prefix, ports = asked["prefix"], asked["ports"]
    cards = output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    told = {
        "python": list(sys.version_info[:2]),
        "init": read("/proc/1/comm").strip(),
        "gpus": [line.strip() for line in (cards or "").splitlines()],
        "free_bytes": shutil.disk_usage(existing_parent(prefix)).free,
        "files": [place for place, size in asked["files"].items() if size_of(f"{prefix}/{place}") == size],
        "settings": {port_of(path): read(path) for path in glob.glob(f"{prefix}/etc/llama-server@*.env")},
        "tuned": read(f"{prefix}/etc/tuned.env"),
        "running": [port for port in ports if running(asked["supervisor"], prefix, port)],
        "ports": {port: bindable(asked["address"], port) for port in ports},
    }
    print(json.dumps(told))


def output(*command: str) -> str | None:
    """What a command prints; None if it is not there or fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def read(path: str) -> str:
    """A file's text; empty if it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def size_of(path: str) -> int | None:
    return os.path.getsize(path) if os.path.isfile(path) else None


def port_of(path: str) -> str:
    return path.rpartition("@")[2].partition(".")[0]


def existing_parent(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def bindable(address: str, port: int) -> str:
    """Whether a server could listen there: `free`, `taken`, or why not."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return "taken" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
    return "free"


def running(supervisor: str, prefix: str, port: int) -> bool:
    if supervisor == "systemd":
        return output("systemctl", "is-active", f"llama-server@{port}") is not None
    return output(f"{prefix}/libexec/process.sh", "status", str(port), "--prefix", prefix) is not None


main()
