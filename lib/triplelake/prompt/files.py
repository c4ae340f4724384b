"""The files of `conf/` that a person edits: read with messages that name the file and the line, and written anew."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from triplelake.errors import InputError, OutputError

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """The form of a file or of a part of it: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_text(file: Path, kind: str) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: it cannot be read, or is in another encoding.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(str(file), error.strerror or f"cannot be read as {kind}", "Check the path.") from None
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 (byte {error.start})"
        raise InputError(str(file), reason, "Save it as UTF-8; in Excel: “CSV UTF-8”.") from None


def check_new(file: Path, *, overwrite: bool) -> None:
    """Refuse a place for a new file before the work that fills it.

    Raises:
        OutputError: something is there already, or its folder is not.
    """
    if file.exists() and not overwrite:
        raise _there_already(file)
    if not file.parent.is_dir():
        raise OutputError(str(file), "is in a folder that is not there", "Make the folder, or name another one.")


def write_new(file: Path, text: str, *, overwrite: bool) -> None:
    """Write a UTF-8 file.

    Raises:
        OutputError: it is there already, or cannot be written.
    """
    try:
        with file.open("w" if overwrite else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise _there_already(file) from None
    except OSError as error:
        raise OutputError(str(file), error.strerror or "cannot be written", "Check the path.") from None


def read_yaml_as(file: Path, form: type[Model], kind: str) -> Model:
    """A YAML file in the form of a pydantic model.

    Raises:
        InputError: not YAML, an unknown key (with the nearest known one), a wrong value.
    """
    try:
        tree = yaml.safe_load(read_text(file, kind))
    except yaml.YAMLError as error:
        raise not_yaml(file, error) from None
    try:
        return form.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            remedy = nearest(str(first["loc"][-1]), _keys_beside(form, first["loc"]))
            raise InputError(str(file), f"unknown key `{key}`", remedy) from None
        reason = f"`{key}`: {first['msg'].lower()}" if key else first["msg"].lower()
        raise InputError(str(file), reason, f"Compare it with the shipped {kind} in conf/.") from None


def not_yaml(file: Path, error: yaml.YAMLError) -> InputError:
    """The error for a file that YAML cannot read; its own message holds line and column."""
    return InputError(str(file), f"is not valid YAML: {' '.join(str(error).split())}", "Mend that line.")


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, else all."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(names)}."


def _keys_beside(form: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    for part in place[:-1]:
        if isinstance(part, str):
            annotation = form.model_fields[part].annotation
            nested = (annotation, *get_args(annotation))  # a form, or a tuple of forms
            form = next(arg for arg in nested if isinstance(arg, type) and issubclass(arg, BaseModel))
    return list(form.model_fields)


def _there_already(file: Path) -> OutputError:
    return OutputError(str(file), "is there already", "Name another file with --to, or add --overwrite.")
