"""Where things lie: the one place that knows what a path or URI means, for inputs and outputs alike.

A location is taken as it is written. `%20`, `#` and `?` are characters of a name, as Hadoop's paths have them; only a
last `?key=value` of a URI is options of its store. `~` is the home of the user. A path is made absolute at once, and
`..` leads to where the file system says, so that links are followed.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from triplelake.errors import InputError, TriplelakeError, without_java

URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/]*)(?P<path>/[^?]*(?:\?(?!\w+=)[^?]*)*)?(?P<query>\?.*)?",
    re.DOTALL,
)
_SCHEMES = {"s3a": "s3", "s3n": "s3"}  # names that Hadoop gives to what Arrow calls s3
_ONE_SLASH = re.compile(r"file:(?=/(?!/))", re.IGNORECASE)  # as Java writes a URI of a file
_DBFS = re.compile(r"dbfs:/", re.IGNORECASE)  # to Spark on Databricks a location, to Arrow none
_CATALOG_NAME = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
# Up to the last @ of the host; a password with a slash in it goes further, and a port is none.
_LOGIN = re.compile(r"://(?:[^/\s,]*|[^/@:\s,]*:(?!\d{1,5}(?:[/,?#]|$))[^@\s,]*)@")
_CONTAINERS = re.compile(r"(?:abfss?|wasbs?)$", re.IGNORECASE)  # what stands before their @ is no user
_SECRET_OPTION = re.compile(
    r"(?P<name>[?&](?=[^=&]*(?:key|secret|token|sig|passw|credential))[^=&?/]+)=[^&,\s]+", re.IGNORECASE
)
_MASK = "***"
_URI_AS_PATH = re.compile(r"\A(?!file:)(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
_NO_LIBRARY = re.compile(r"No FileSystem for scheme|Class \S+(?:FileSystem|FS) not found")
_FILE = re.compile(r"file://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A file system and how a path in it is written: `written = prefix + path[cut:]`."""

    fs: FileSystem
    path: str
    prefix: str
    cut: int
    query: str

    def written(self, path: str) -> str:
        """A path of this file system as the user would write it."""
        return f"{self.prefix}{path[self.cut :]}{self.query}"


def locate(written: str, error: type[TriplelakeError] = InputError) -> Place:
    """The file system that a path or URI names, and the path in it; nothing need exist there.

    Args:
        error: what is raised.

    Raises:
        InputError: no location at all, or one with a secret in it; Arrow knows no such scheme, or the store cannot be
            reached.
    """
    uri = URI.fullmatch(spelled(written, error))
    if _DBFS.match(written):
        raise error(written, "dbfs:/ paths are not readable as files", "Write /Volumes/… or /dbfs/… instead.")
    if uri is None:
        return Place(LocalFileSystem(), absolute(written, error), "", 0, "")
    scheme, host, query = uri["scheme"].lower(), uri["host"], uri["query"] or ""
    try:
        fs, base = _file_system(_SCHEMES.get(scheme, scheme), host, query)
    except (ValueError, OSError, ImportError) as problem:
        raise error(
            written,
            f"cannot be reached: {one_line(problem)}",
            "Known: paths, file://, s3://, gs://, hdfs://, abfss://. Check the name, the network and the credentials.",
        ) from None
    # Only the host goes through Arrow's URI parser: it wants percent-encoding, and names in a
    # corpus are full of spaces and Chinese. The rest of the path is appended as it is written.
    base = base.rstrip("/")
    rest = uri["path"] or "/"
    path = base + (_local(rest) if scheme == "file" else rest)
    return Place(fs, path.rstrip("/") or "/", f"{uri['scheme']}://{host}", len(base), query)


def absolute(written: str, error: type[TriplelakeError] = InputError) -> str:
    """A location as Spark takes it, meaning the same from any folder; of a URI without the options of its store."""
    written = spelled(written, error)
    uri = URI.fullmatch(written)
    if _DBFS.match(written):
        return written.rstrip("/")
    if uri is None:
        return _local(os.path.expanduser(written))
    scheme, path = uri["scheme"].lower(), uri["path"] or ""
    if scheme == "file":
        path = _local(path or "/")
    return f"{scheme}://{uri['host']}{path.rstrip('/')}"


def spelled(written: str, error: type[TriplelakeError] = InputError) -> str:
    """A location in the one way that all else here reads.

    Raises:
        InputError: it names nothing, carries a secret, or is written as no store reads it.
    """
    if not written.strip():
        raise error(f"`{written}`", "names no place", "Write a path or a URI. Is a variable not set?")
    if "\0" in written or any("\ud800" <= char <= "\udfff" for char in written):
        raise error(repr(written), "holds what is no character of a name", "Rename it: names are read as UTF-8.")
    if (shown := masked(written)) != written:
        raise error(shown, "carries a user, a password or a key", SECRETS_BELONG)
    return _ONE_SLASH.sub("file://", written, count=1)


SECRETS_BELONG = (
    "It would be stored in the tables and shown. Take it out, and give it to the store's own variables and settings: "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role; for Spark spark.hadoop.fs.s3a.*. "
    "A key that stood in a command line is best replaced."
)


def masked(text: str) -> str:
    """A text without the users, passwords and keys that URIs in it carry."""

    def without_login(found: re.Match[str]) -> str:
        scheme = re.search(r"[A-Za-z0-9+.-]*$", text[: found.start()])
        container = ":" not in found[0][3:] and scheme is not None and _CONTAINERS.search(scheme[0])
        return found[0] if container else f"://{_MASK}@"

    if "://" not in text:
        return text
    return _SECRET_OPTION.sub(rf"\g<name>={_MASK}", _LOGIN.sub(without_login, text))


def beside(folder: str, name: str) -> str:
    """The location of a file in a folder; the options of a URI's store stay at its end."""
    uri = URI.fullmatch(folder)
    query = (uri["query"] or "") if uri else ""
    return f"{absolute(folder)}/{name}{query}"


def local_file(written: str | Path, error: type[TriplelakeError] = InputError) -> Path:
    """A file of this machine that a command reads or writes by itself; `~` is the home of the user.

    Raises:
        InputError: it names nothing, carries a secret, or lies in a store.
    """
    # A path that was made of a URI has lost a slash.
    text = spelled(_URI_AS_PATH.sub(r"\g<scheme>://", str(written)), error)
    if "://" not in text or os.path.exists(written):
        return Path(written).expanduser()
    if _FILE.match(text):
        return Path(text[len("file://") :])
    raise error(
        text,
        "lies in a store; this file is read and written on this machine only",
        "Name a copy of it here. Stores are for the corpus, the tables, exports and reports.",
    )


CHECK_STORE = "Check the name, the network and the credentials."
GIVE_LIBRARY = (
    "Spark lacks the library of this store. S3: spark-submit --packages org.apache.hadoop:hadoop-aws:3.4.2 …; for all "
    "stores: infra/spark/submit.py --store (properties in infra/spark/stores/)."
)


def lacks_library(error: Exception) -> bool:
    """Whether Spark reaches no store of this kind at all."""
    return _NO_LIBRARY.search(str(error)) is not None


def looks_like_catalog(output: str) -> bool:
    """Whether an output can be `catalog.schema`; it can be a folder's name just as well."""
    return _CATALOG_NAME.fullmatch(output) is not None


def without_wildcards(path: str) -> str:
    """A path for what reads `*?[]{}` as wildcards, as Hadoop does, where its characters stand for themselves."""
    return re.sub(r"[*?\[\]{}\\]", r"\\\g<0>", path)


def _local(path: str) -> str:
    # What `..` leads to after a link only the file system knows; without it a link keeps its name.
    return os.path.realpath(path) if ".." in Path(path).parts else str(Path(path).absolute())


@cache
def _file_system(scheme: str, host: str, query: str) -> tuple[FileSystem, str]:
    fs, path = FileSystem.from_uri(f"{scheme}://{host}/{query}")
    return fs, str(path)


def what_is_there(place: Place, path: str | None = None) -> str:
    """The names beside a path that does not exist, in its nearest folder that does."""
    folder, missing = os.path.split((path or place.path).rstrip("/"))
    while folder not in ("", "/") and place.fs.get_file_info(folder).type != FileType.Directory:
        folder, missing = os.path.split(folder)
    try:
        names = [str(info.base_name) for info in children(place.fs, folder or "/")]
    except OSError:
        return "Check the path."
    if not names:
        return f"{place.written(folder)} is empty."
    near = difflib.get_close_matches(missing, names, n=3, cutoff=0.5)
    if near:
        return f"Nearest names in {place.written(folder)}: {', '.join(near)}."
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"In {place.written(folder)} there are: {', '.join(names[:10])}{more}."


def children(fs: FileSystem, folder: str, *, hidden: bool = False) -> list[FileInfo]:
    """What a folder holds, by name; names that start with `_` or `.` only if `hidden`."""
    infos = fs.get_file_info(FileSelector(folder, recursive=False))
    shown = (info for info in infos if hidden or not info.base_name.startswith(("_", ".")))
    return sorted(shown, key=lambda info: str(info.path))


def is_loop(fs: FileSystem, folder: str) -> bool:
    """Whether a folder is a link to one above itself: walking into it would not end."""
    if not isinstance(fs, LocalFileSystem) or not os.path.islink(folder):
        return False
    target = os.path.realpath(folder)
    return any(os.path.realpath(above) == target for above in PurePosixPath(folder).parents)


def one_line(error: Exception) -> str:
    """An error's message, fit for a message of our own."""
    return " ".join(without_java(str(error)).split())[:300]
