"""Where it is written who holds a lease: records that have a number, of which each can be made only once.

Beside the table `runs`, in a folder that VACUUM leaves alone, each record is a file. Making one takes no task of Spark,
so a holder can say that it lives while a stage takes all of them, and stores that let a commit of Delta be overwritten
(S3) still make a file only where there is none. Where the driver reaches no files (Spark Connect, Databricks with its
catalog in front) a record is a commit to `runs` without rows.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException

from triplelake.tables.process import Process
from triplelake.tables.schemas import RUNS
from triplelake.tables.store import Commit, Store

log = logging.getLogger(__name__)

_FOLDER = "_triplelake_lease"
_ENDING = ".json"
_APPLICATION = "triplelake/lease"
_TAKEN_BY_ANOTHER = "DELTA_CONCURRENT_"
_HISTORY = (20, 2000)
"""Commits to look back, and how far where none of those is of a lease: each run that is refused leaves a row."""
_IF_NONE = "fs.option.create.conditional.overwrite"
"""Hadoop's name for a file that a store makes only if there is none; without it S3A looks first and then writes."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease.

    Args:
        number: grows with each record.
        ended: whether this record gives the lease back.
    """

    number: int
    run_id: str
    process: Process
    ended: bool = False

    @property
    def host(self) -> str:
        return self.process.host

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool | None:
        """Whether its process is there; None if it cannot be known from here."""
        return self.process.alive()


class Records(Protocol):
    """Records of one lease."""

    def newest(self) -> tuple[Holder | None, int]:
        """The newest record, and the number that whoever has seen it gives to the next."""

    def create(self, holder: Holder) -> None:
        """Make a record; nothing happens if its number is taken.

        Raises:
            OSError: the store takes none.
        """


def records_of(store: Store) -> Records:
    """The records beside the tables of an output, which exist."""
    try:
        files = _files(store)
    except (Py4JError, PySparkException, AttributeError) as error:
        log.info("the lease of %s is kept by commits: its files are out of reach: %s", store.output, error)
        return CommitRecords(store)
    return FileRecords(files)


class Files(Protocol):
    """A folder of small files."""

    def names(self) -> list[str]:
        """What is in it; nothing where it does not exist."""

    def read(self, name: str) -> bytes | None:
        """What a file holds; None if it is gone."""

    def create(self, name: str, content: bytes) -> None:
        """Make a file if there is none of this name."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class FileRecords:
    """Records as files, of which the newest stays."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def newest(self) -> tuple[Holder | None, int]:
        while numbers := self._numbers():
            # A file that is gone was followed by a newer one.
            if (content := self._files.read(_name(numbers[-1]))) is not None:
                return _holder(numbers[-1], content), numbers[-1] + 1
        return None, 1

    def create(self, holder: Holder) -> None:
        self._files.create(_name(holder.number), json.dumps(asdict(holder)).encode())
        # Whoever made a record under a number that was free again sees the newest, and that it is another's.
        for number in self._numbers()[:-1]:
            self._files.remove(_name(number))

    def _numbers(self) -> list[int]:
        stems = (name.removesuffix(_ENDING) for name in self._files.names() if name.endswith(_ENDING))
        return sorted(int(stem) for stem in stems if stem.isdecimal())


class CommitRecords:
    """Records as commits to `runs`, each a Delta transaction: a version that a table has seen writes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest(self) -> tuple[Holder | None, int]:
        for commits in _HISTORY:
            notes = list(self._store.notes(RUNS, commits))
            for _, note in notes:
                if isinstance(found := note.get("lease"), dict):
                    # Above the version, because a lease that was seen by none of the commits since had a lower one.
                    return _parsed(found["number"], found), notes[0][0] + 1
            if len(notes) < commits:
                break
        return None, notes[0][0] + 1

    def create(self, holder: Holder) -> None:
        nothing = self._store.spark.createDataFrame(RUNS.arrow.empty_table(), RUNS.spark)
        commit = Commit((_APPLICATION, holder.number), {"lease": asdict(holder)})
        try:
            self._store.append(RUNS, nothing, run_id=holder.run_id, commit=commit)
        except PySparkException as error:
            if _TAKEN_BY_ANOTHER not in str(error):
                raise
            log.info("another run took the lease of %s: %s", self._store.output, error)


class LocalFiles:
    """A folder of this machine, or mounted on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> None:
        self._folder.mkdir(exist_ok=True)
        path = self._folder / name
        try:
            out = path.open("xb")
        except FileExistsError:
            log.info("another run made %s in %s", name, self._folder)
            return
        try:
            with out:
                out.write(content)
        except OSError:
            # On a full disk it would stay as the empty record of somebody unknown, whom the next run waits for.
            path.unlink()
            raise

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class HadoopFiles:
    """A folder of whatever store Spark's driver reaches, by the file system that Delta itself uses there."""

    def __init__(self, spark: Any, fs: Any, folder: Any) -> None:
        self._jvm = spark._jvm
        self._fs = fs
        self._folder = folder

    def names(self) -> list[str]:
        if not self._there(self._folder):
            return []
        try:
            return [status.getPath().getName() for status in self._fs.listStatus(self._folder)]
        except Py4JJavaError as error:
            if self._there(self._folder):
                raise OSError(_said(error)) from error
            return []

    def read(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            stream = self._fs.open(path)
            try:
                return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
            finally:
                stream.close()
        except Py4JJavaError as error:
            if self._there(path):
                raise OSError(_said(error)) from error
            return None

    def create(self, name: str, content: bytes) -> None:
        path = self._path(name)
        try:
            stream = self.stream(path)
            stream.write(bytearray(content))
            stream.close()
        except Py4JJavaError as error:
            if not self._there(path):
                raise OSError(_said(error)) from error
            log.info("another run made %s: %s", name, _said(error))

    def stream(self, path: Any) -> Any:
        """A stream that makes a file when it is closed, unless there is one by then."""
        builder = self._fs.createFile(path).recursive()
        if self._fs.hasPathCapability(path, _IF_NONE):
            return builder.overwrite(True).must(_IF_NONE, True).build()
        return builder.overwrite(False).build()

    def remove(self, name: str) -> None:
        try:
            self._fs.delete(self._path(name), False)
        except Py4JJavaError as error:
            raise OSError(_said(error)) from error

    def _path(self, name: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self._folder, name)

    def _there(self, path: Any) -> bool:
        try:
            return bool(self._fs.exists(path))
        except Py4JJavaError as error:
            raise OSError(_said(error)) from error


def _files(store: Store) -> Files:
    # The JVM knows what a path without a scheme means; a session over Spark Connect has none.
    spark: Any = store.spark
    path = spark._jvm.org.apache.hadoop.fs.Path(_location(store), _FOLDER)
    fs = path.getFileSystem(spark._jsc.hadoopConfiguration())
    path = fs.makeQualified(path)
    if path.toUri().getScheme() == "file":
        # Hadoop's local files are looked for and then made, so that of two both may be told that theirs was.
        return LocalFiles(Path(path.toUri().getPath()))
    return HadoopFiles(spark, fs, path)


def _location(store: Store) -> str:
    if not store.in_catalog:
        return store.location(RUNS)
    return str(store.spark.sql(f"DESCRIBE DETAIL {store.sql_name(RUNS)}").collect()[0]["location"])


def _name(number: int) -> str:
    return f"{number:012d}{_ENDING}"


def _holder(number: int, content: bytes) -> Holder:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return _parsed(number, found if isinstance(found, dict) else {})


def _parsed(number: int, found: Mapping[str, Any]) -> Holder:
    """A record as it was written; one that is still being written, or of an older version, is of someone unknown."""
    process = found.get("process")
    if not isinstance(process, dict):
        unknown = Process(str(found.get("host", "an unknown host")), int(found.get("pid", 0)), "", "")
        return Holder(number, str(found.get("run_id", "unknown")), unknown, found.get("until") == 0)
    return Holder(number, found["run_id"], Process(**process), bool(found["ended"]))


def _said(error: Py4JJavaError) -> str:
    return str(error.java_exception.toString())
