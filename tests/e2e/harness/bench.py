"""The job in this process: a scripted server, an output, and what was said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.lake import Lake
from harness.servers import API_KEY, Counted, Scripted
from triplelake.commands.extract import extract
from triplelake.commands.maintain import maintain
from triplelake.commands.republish import republish
from triplelake.commands.show_request import show_request
from triplelake.config import Settings, load_settings
from triplelake.engine.run_row import RunRow

Command = Callable[[Settings, Console], RunRow]


@dataclass
class Bench:
    """A scripted server, an output, and the job run in this process.

    Attributes:
        said: what the last run printed.
    """

    folder: Path
    backend: Scripted
    server: Counted
    said: str = field(default="", init=False)

    @classmethod
    def make(cls, folder: Path) -> Bench:
        """One with a server of its own."""
        backend = Scripted()
        return cls(folder, backend, Counted(backend))

    @property
    def output(self) -> Path:
        return self.folder / "kg"

    @property
    def lake(self) -> Lake:
        return Lake(self.output)

    def corpus(self, documents: Sequence[Mapping[str, str]], name: str = "corpus.jsonl") -> Path:
        """Write documents as JSON Lines."""
        file = self.folder / name
        lines = [json.dumps(document, ensure_ascii=False) for document in documents]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    def extract(self, file: Path, output: Path | None = None, **overrides: Any) -> RunRow:
        """Run the job; `run__mode="replace"` sets `run.mode`."""
        return self._run(extract, file, output or self.output, overrides)

    def preview(self, file: Path, output: Path | None = None, *, probe: int = 0, **overrides: Any) -> RunRow:
        """A dry run."""
        command = partial(extract, dry_run=True, probe=probe)
        return self._run(command, file, output or self.output, overrides)

    def show_request(self, wanted: str, **overrides: Any) -> str:
        """What `--show-request` prints."""

        def command(settings: Settings, console: Console) -> RunRow:
            show_request(settings, wanted, console)
            return RunRow("extract", settings)

        given = {"output": str(self.output), "pool": self.server.url, "api_key": API_KEY}
        self._with(given, command, overrides)
        return self.said

    def republish(self, file: Path, **overrides: Any) -> RunRow:
        return self._run(republish, file, self.output, overrides)

    def maintain(self, *, dry_run: bool = False, **overrides: Any) -> RunRow:
        return self._with({"output": str(self.output)}, partial(maintain, dry_run=dry_run), overrides)

    def _run(self, command: Command, file: Path, output: Path, overrides: Mapping[str, Any]) -> RunRow:
        given = {"input": (str(file),), "output": str(output), "pool": self.server.url, "api_key": API_KEY}
        return self._with(given, command, overrides)

    def _with(self, given: Mapping[str, Any], command: Command, overrides: Mapping[str, Any]) -> RunRow:
        console = Console(file=io.StringIO(), width=400)
        chosen = {name.replace("__", "."): each for name, each in overrides.items()}
        settings = load_settings(None, {"run.preflight": False, **given, **chosen}, {})
        try:
            return command(settings, console)
        finally:
            assert isinstance(console.file, io.StringIO)
            self.said = console.file.getvalue()
