"""Where an export goes: it appears whole or not at all, and nothing is replaced unasked."""

from __future__ import annotations

import contextlib
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow.fs import FileSelector, FileType

from triplelake.errors import OutputError
from triplelake.filesystems import Place, locate, one_line

_CHECK = "Check the path, its rights and the room that is left."


@dataclass(frozen=True)
class Target:
    """A file, or a folder of files, to be made.

    Args:
        written: as the user wrote it: a path or a URI.
        names: the files of a folder; empty for a file.
        overwrite: whether an earlier export there may be replaced.
    """

    written: str
    names: frozenset[str] = frozenset()
    overwrite: bool = False
    _place: Place = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", locate(self.written, OutputError))

    @property
    def path(self) -> str:
        """The path in its file system; of a local file, the absolute one."""
        return self._place.path

    def check(self) -> None:
        """Refuse what must not be replaced.

        Raises:
            OutputError: something is there and `overwrite` is off, or it is no earlier export.
        """
        with _told(self.written):
            there = self._place.fs.get_file_info(self.path).type
        if there == FileType.NotFound:
            return
        if there != (FileType.Directory if self.names else FileType.File):
            kind = "folder" if there == FileType.Directory else "file"
            raise OutputError(self.written, f"is a {kind} already", "Choose another --to.")
        if others := self._others():
            raise OutputError(self.written, f"holds other files ({', '.join(others)})", "Choose another --to.")
        if not self.overwrite:
            raise OutputError(self.written, "exists already", "Choose another --to, or replace it: --overwrite.")

    @contextmanager
    def writing(self) -> Iterator[ExportWriter]:
        """Write beside the place, and move it there when the block ends well; else leave nothing.

        Raises:
            OutputError: as `check`, or it cannot be written.
        """
        self.check()
        folder, name = posixpath.split(self.path)
        # Hidden, so that what a killed process leaves is no one's input.
        writer = ExportWriter(self, posixpath.join(folder, f".{name}.{uuid.uuid4().hex[:8]}.partial"))
        try:
            with _told(self.written):
                self._place.fs.create_dir(writer.path if self.names else folder, recursive=True)
            yield writer
            with _told(self.written):
                self._put(writer)
        except BaseException:
            with contextlib.suppress(OSError):
                self._remove(writer.path)
            raise

    def open(self, path: str) -> pa.NativeFile:
        compression = "gzip" if self.path.endswith(".gz") else None
        return self._place.fs.open_output_stream(path, compression=compression)

    def _put(self, writer: ExportWriter) -> None:
        if self.names and self._place.fs.get_file_info(self.path).type == FileType.Directory:
            self._place.fs.delete_dir(self.path)  # a folder cannot be moved over another
        self._place.fs.move(writer.path, self.path)

    def _remove(self, path: str) -> None:
        if self.names:
            self._place.fs.delete_dir(path)
        else:
            self._place.fs.delete_file(path)

    def _others(self) -> list[str]:
        if not self.names:
            return []
        found = self._place.fs.get_file_info(FileSelector(self.path, recursive=False))
        return sorted({info.base_name for info in found} - self.names)[:3]


@dataclass
class ExportWriter:
    """An export that is being written.

    Attributes:
        bytes: written until now, before compression.
    """

    target: Target
    path: str
    bytes: int = 0

    def write(self, name: str, texts: Iterator[str]) -> None:
        """Write a file from its pieces.

        Args:
            name: in the folder; empty where the export is one file.
        """
        written = self.target.written
        with _told(written):
            stream = self.target.open(posixpath.join(self.path, name) if name else self.path)
        with stream:
            for text in texts:
                encoded = text.encode()
                with _told(written):
                    stream.write(encoded)
                self.bytes += len(encoded)


@contextmanager
def _told(written: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(written, f"cannot be written: {one_line(error)}", _CHECK) from error
