"""The llama.cpp server that `pool: embedded` starts on this machine, as a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import tempfile
import time
from pathlib import Path
from types import TracebackType

from triplelake.config import EmbeddedSettings
from triplelake.errors import PoolError, SetupError
from triplelake.pool.client import LlamaServer
from triplelake.pool.endpoints import Endpoint
from triplelake.pool.failures import ServerFailure
from triplelake.pool.gguf import declared_alias, lora_file, model_file
from triplelake.pool.server_process import ServerProcess

_START_S = 600.0
_STOP_S = 5.0
_HEALTH_TIMEOUT_S = 10.0
_HEALTH_PAUSE_S = 0.05
_LOG_LINES = 8
_SUBJECT = "pool: embedded"
_SPINS = 10_000
"""How often a thread of the server looks whether the others have come, before it sleeps. By default it looks until
then, which takes the cores from whoever else works: beside two busy processes on two cores 39 instead of 19 to 28
tokens/s, on an idle machine 75 with either (Gemma 3 270M)."""
_CACHE_RAM_MIB = 2048
"""Of prompts that slots had read before a look came between; a server that gets no looks keeps none."""


class EmbeddedServer:
    """A real llama.cpp server on a free port of 127.0.0.1, there between `__enter__` and `__exit__`.

    It ends with this process even when that is killed. The key is new each time and passed through a
    pipe, so that neither a command line nor an environment shows it.

    Args:
        looks: short questions will come between those that share a long prefix. A slot that answers one has lost the
            prefix; what it has read is then kept in memory, up to 2 GiB, and put back.

    Raises:
        SetupError: the packages of the `embedded` extra are missing (from the constructor).
        UsageError: the model file or the adapter that was named is not there, or they do not fit (from the
            constructor).
        PoolError: the server does not come up; with the last lines of its log (from `__enter__`).
    """

    def __init__(self, settings: EmbeddedSettings, *, looks: bool = False) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise SetupError(
                _SUBJECT,
                "the llama.cpp server (xllamacpp) is not installed",
                'Run `pip install "triplelake[embedded]"`, or name your own servers in `pool`.',
            )
        self._settings = settings
        self._looks = looks
        self._model = model_file(settings.model)
        self._lora = lora_file(settings.lora, self._model)
        self._key = secrets.token_urlsafe(24)
        self._process: ServerProcess | None = None
        self._url = ""
        self.log_path: Path | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, with its key and slots."""
        return Endpoint(self._url, self._key, self._settings.slots)

    @property
    def pid(self) -> int | None:
        """The server's process id; None before it starts and after it ended."""
        return self._process.pid if self._process else None

    def __enter__(self) -> EmbeddedServer:
        order = self._order()
        handle, name = tempfile.mkstemp(prefix="triplelake-server-", suffix=".log")
        self.log_path = Path(name)
        with os.fdopen(handle, "wb") as log:
            self._process = ServerProcess(
                "triplelake.pool.embedded_main", environment=_environment(), log=log, stop_s=_STOP_S
            )
        try:
            self._start(self._process, order)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        died = self._process is not None and self._process.ended
        self._stop()
        if self.log_path and not died:
            self.log_path.unlink(missing_ok=True)

    def _order(self) -> bytes:
        threads = self._settings.threads or _usable_cpus()
        order = {
            "parent": os.getpid(),
            "model": str(self._model),
            "lora": str(self._lora) if self._lora else None,
            "alias": declared_alias(self._model, self._lora),
            "api_key": self._key,
            "slots": self._settings.slots,
            "n_ctx": self._settings.slots * self._settings.context_per_slot,
            "threads": threads,
            "cache_ram_mib": _CACHE_RAM_MIB if self._looks else 0,
        }
        return json.dumps(order).encode() + b"\n"

    def _start(self, process: ServerProcess, order: bytes) -> None:
        deadline = time.monotonic() + _START_S
        try:
            process.write(order)
        except BrokenPipeError:
            raise self._failed("ended at once") from None
        line = process.read_line(_START_S)
        if line is None:
            raise self._failed(f"did not load its model within {_START_S:g} s")
        if not line:
            raise self._failed("ended while it loaded its model")
        self._url = str(json.loads(line)["address"])
        server = LlamaServer(self.endpoint, _HEALTH_TIMEOUT_S)
        while not server.health():
            if process.ended:
                raise self._failed("ended before it was ready")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready within {_START_S:g} s")
            time.sleep(_HEALTH_PAUSE_S)
        if self._lora is not None:
            self._see_lora(server)
        server.close()

    def _see_lora(self, server: LlamaServer) -> None:
        # A server takes a request for an adapter that it has not loaded and answers without it.
        try:
            loaded = [(Path(each.path).name, each.scale) for each in server.lora_adapters()]
        except ServerFailure as failure:
            raise self._failed(f"does not tell its adapters: {failure.message}") from None
        if self._lora is None or loaded != [(self._lora.name, 1.0)]:
            raise self._failed(f"has loaded the adapters {loaded}, not {self._lora} alone and whole")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process:
            process.stop()

    def _failed(self, reason: str) -> PoolError:
        self._stop()
        assert self.log_path  # set before the process is started
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return PoolError(
            str(self._model),
            f"the embedded server {reason}",
            "\n".join(["The end of its log:", *(f"  {line}" for line in lines), f"All of it: {self.log_path}"]),
        )


def _environment() -> dict[str, str]:
    """This process's, with this package importable for the child too, and a bound on how long its threads spin."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    found = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root}
    if "OMP_WAIT_POLICY" not in found:
        found.setdefault("GOMP_SPINCOUNT", str(_SPINS))
    return found


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
