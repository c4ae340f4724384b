"""The process of the embedded server: `python -m triplelake.pool.embedded_main`, started by `embedded.py`.

It reads one line of JSON from its standard input, loads the model, writes its address to its standard
output and serves until the input ends, which it does when the parent dies, however that comes about.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import threading
from importlib import import_module
from typing import Any

_PR_SET_PDEATHSIG = 1
_LOOK_AROUND_S = 1.0


def main() -> None:
    """Serve until the parent is gone."""
    settings = json.loads(sys.stdin.buffer.readline())
    parent = int(settings["parent"])
    # llama.cpp may print to standard output; that goes to the log, and the address alone to the parent.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # The constructor of the server holds the GIL while the model loads, so no thread can watch then.
    _die_with_parent(signal.SIGKILL)
    _leave_if_orphan(parent)
    server = _serve(settings)
    # The signal comes when the parent's *thread* ends, which may be earlier than the parent: watch instead.
    watcher = threading.Thread(target=_watch, args=(parent,))
    watcher.start()
    _die_with_parent(0)
    print(json.dumps({"address": server.listening_address}), file=answer, flush=True)
    answer.close()
    watcher.join()


def _serve(settings: dict[str, Any]) -> Any:
    xllamacpp: Any = import_module("xllamacpp")  # untyped
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    if settings["lora"]:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(settings["lora"], 1.0)]
    params.model_alias = {settings["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["api_key"]]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["n_ctx"]
    params.kv_unified = False
    params.fit_params = False
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_ram_mib = 0
    params.n_ctx_checkpoints = 0
    # A model with a sliding window (Gemma 3) else forgets the common prefix once chunk and answer outgrow the window.
    params.swa_full = True
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = 1
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        sys.exit(str(error))  # llama.cpp has said why, on the lines above


def _die_with_parent(signum: int) -> None:
    """Have the kernel send `signum` when the parent thread ends; 0 takes it back. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum)


def _watch(parent: int) -> None:
    # Another child of the parent may hold the pipe open after its death, so its id is looked at too.
    while not select.select([0], [], [], _LOOK_AROUND_S)[0]:
        _leave_if_orphan(parent)
    os._exit(0)


def _leave_if_orphan(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()
