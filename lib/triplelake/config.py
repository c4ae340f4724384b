"""One frozen tree of settings, loaded once at the edge: command line over environment over file over defaults.

Every key has its comment in `conf/extract.yaml`; `docs/options.md` is generated from the descriptions here.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from triplelake.errors import UsageError
from triplelake.filesystems import SECRETS_BELONG, local_file, masked
from triplelake.times import read_clock, seconds_of
from triplelake.types import GrammarEngine

ENV_PREFIX = "TRIPLELAKE__"
_SECRETS = frozenset({"api_key"})

CorpusFormat = Literal["auto", "json", "jsonl", "csv", "tsv", "text", "lines", "wikidoc", "parquet", "delta", "table"]
SPARK_READS: frozenset[CorpusFormat] = frozenset({"parquet", "delta", "table"})
"""Formats that Spark reads by itself; all others have readers of the project."""
CorpusEncoding = Literal["auto", "utf-8", "gb18030", "big5", "utf-16"]
WantedEngine = Literal["auto", GrammarEngine]
LookKind = Literal["none", "yes_no"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CorpusSettings(_Section):
    """How the input is read."""

    format: CorpusFormat = Field(
        "auto", description="format of the input; `auto` goes by the file's ending and first line"
    )
    encoding: CorpusEncoding = Field(
        "auto", description="encoding of text files without a byte order mark; `auto` looks at a sample of each"
    )
    html_to_text: bool | None = Field(
        None, description="keep of HTML what a reader would see; if not set, a run over what looks like HTML stops"
    )
    text_column: str | None = Field(
        None, description="column with the text, `article.body` inside an object; else the first known name that exists"
    )
    id_column: str | tuple[str, ...] | None = Field(
        None, description="column with a stable id of the document, or several whose values are the id together"
    )
    id_prefix: str = Field("", description="put before the ids of this input, where another input has the same ones")
    title_column: str | None = Field(None, description="column with the document's title")
    keep_columns: tuple[str, ...] = Field((), description="columns to keep in `documents.meta`")
    split_mb: int = Field(32, ge=1, description="a larger file of a splittable format is read by several tasks")

    @field_validator("id_column", mode="before")
    @classmethod
    def _one_id_column_is_a_text(cls, value: object) -> str | tuple[str, ...] | None:
        # A list of one names the same documents as the text, so it must be the same command too.
        if value is None or isinstance(value, str):
            return value
        if not isinstance(value, list | tuple) or not value or not all(isinstance(each, str) for each in value):
            raise ValueError("must be a column or a list of columns")
        if len(set(value)) < len(value):
            raise ValueError("names a column twice")
        return str(value[0]) if len(value) == 1 else tuple(value)

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns whose values are the id together; none where documents are named by their content."""
        if self.id_column is None:
            return ()
        return (self.id_column,) if isinstance(self.id_column, str) else self.id_column


class ChunkingSettings(_Section):
    """How a document is cut; all sizes in estimated tokens."""

    target_tokens: int = Field(120, ge=8, description="whole sentences are packed up to this size")
    max_tokens: int = Field(240, ge=16, description="a longer sentence is cut at the best place")
    context_tokens: int = Field(40, ge=0, description="preceding text shown with a chunk")


class PromptSettings(_Section):
    """What is asked."""

    dir: Path = Field(Path("prompts"), description="folder with one prompt file per language")
    shots: int | None = Field(None, ge=0, description="few-shot examples shown, of those in the file; all if not set")
    gold: Path | None = Field(None, description="gold file or judged sheet whose likest texts are examples, too")
    retrieved: int = Field(4, ge=1, le=32, description="how many of them each request is shown")


class AnswerSettings(_Section):
    """What an answer may be."""

    grounding: Literal["constrain", "verify"] = Field(
        "constrain", description="`constrain`: the grammar admits only what the text holds; `verify`: align afterwards"
    )
    grammar: WantedEngine = Field("auto", description="grammar engine; `auto` probes the servers")
    max_triples: int = Field(8, ge=1, le=64, description="triples per chunk at most")
    max_entity_chars: int = Field(64, ge=4, le=200, description="code points of a subject or object at most")
    max_tokens: int = Field(320, ge=16, description="decoded tokens per answer at most")


class EmbeddedSettings(_Section):
    """The llama.cpp server that `pool: embedded` starts on this machine."""

    model: Path | None = Field(None, description="GGUF file; else the Gemma 3 270M that the `embedded` extra installs")
    lora: Path | None = Field(None, description="LoRA adapter of that model, a GGUF file, with which it answers")
    slots: int = Field(4, ge=1, le=256, description="requests decoded at the same time")
    context_per_slot: int = Field(4096, ge=512, description="tokens of prompt and answer per slot")
    threads: int | None = Field(None, ge=1, description="CPU threads; all cores if not set")


class AskingSettings(_Section):
    """How a request is carried to a server and back."""

    timeout_s: float = Field(300.0, gt=0, description="seconds to wait for one answer")
    deadline_s: float = Field(900.0, gt=0, description="seconds for one request, all tries and pauses together")
    tries: int = Field(4, ge=1, description="times that a request is put to a server at most")
    patience_s: float = Field(60.0, ge=0, description="seconds that a task waits for servers that all fail")
    max_retry_after_s: float = Field(
        60.0, ge=0, description="seconds that a server is left alone at most because its Retry-After asks for it"
    )
    probabilities: bool = Field(True, description="ask for each token's probability, of which confidence is made")
    second_look: LookKind = Field(
        "none", description="`yes_no` asks a chat model about each of its triples once more, for confidence"
    )
    stop_repeats: bool = Field(
        True, description="an answer ends before the first triple that it repeats; it is read while it is decoded"
    )
    ca_file: Path | None = Field(
        None, description="PEM file of authorities to trust besides the public ones; the driver reads it for all tasks"
    )
    requests_per_s: float | None = Field(None, gt=0, description="requests per second of the whole job at most")
    tokens_per_s: float | None = Field(
        None, gt=0, description="prompt and decoded tokens per second of the whole job at most"
    )


class RunSettings(_Section):
    """How the run goes over the corpus."""

    mode: Literal["append", "replace"] = Field(
        "append", description="`replace` marks documents that this input lacks as removed"
    )
    max_removed: float = Field(
        0.2, ge=0, le=1, description="larger share of the output's documents that `replace` does not remove unasked"
    )
    allow_removals: int | None = Field(
        None, ge=0, description="so many documents may be removed by this run, in place of `max_removed`"
    )
    allow_moved: bool = Field(
        False, description="ids may come from another source with other texts, texts under other ids"
    )
    limit: int | None = Field(None, ge=1, description="read this many documents only, the first ones")
    sample: int | None = Field(None, ge=1, description="read this many documents only, drawn from all of the input")
    sheet_rows: int | None = Field(
        200, ge=1, description="triples of a sample that are drawn for the sheet to judge; all if not set"
    )
    seed: int = Field(0, description="of what is drawn; another one draws others")
    retry_failed: bool = Field(False, description="documents that lack answers are read again, and those asked again")
    bucket_size: int = Field(500, ge=1, description="requests per bucket of the plan")
    wave_s: float = Field(75.0, gt=0, description="seconds of the pool's work per wave, at the measured rate")
    lanes: int = Field(2, ge=1, le=4, description="waves that run at the same time")
    desk: bool = Field(True, description="tasks ask the driver for their part of the pool; `false`: fixed parts")
    grace_s: float = Field(60.0, ge=0, description="seconds that a signal leaves to what is in flight")
    max_failure_rate: float = Field(0.2, ge=0, le=1, description="share of failed requests that ends the run")
    preflight: bool = Field(True, description="known texts must be answered before the first wave")
    calibration: str = Field(
        "auto", description="file of `triplelake calibrate`, of which confidence is made; `auto`: a shipped one; `none`"
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="facts are what is at least so sure; if not set, all that is not flagged"
    )
    precision: float | None = Field(
        None, gt=0, lt=1, description="the surest facts, a share of which is expected to be right, in place of it"
    )
    on_suspicious: Literal["warn", "stop"] = Field(
        "warn", description="what to do if the first wave brings hardly a triple, or many answers that were cut"
    )


class BudgetSettings(_Section):
    """What a run may use up: it ends cleanly before it uses more, and the same command goes on."""

    max_requests: int | None = Field(None, ge=1, description="requests that a run asks at most")
    max_tokens: int | None = Field(
        None, ge=1, description="tokens of prompt, cached ones too, and of answers that a run takes at most"
    )
    until: str | None = Field(
        None, description="time of day at which asking ends: `06:00` on the driver, or `06:00 Asia/Shanghai`"
    )
    duration: str | None = Field(
        None, description="time from the start after which asking ends: `2h`, `1h 30m`, `90 min`"
    )
    success: bool = Field(False, description="a run that its budget ended leaves exit code 0; else 8")

    @field_validator("until", mode="before")
    @classmethod
    def _is_a_time_of_day(cls, value: object) -> object:
        # YAML 1.1 takes 22:00 for a number of base 60.
        text = f"{value // 60:02}:{value % 60:02}" if type(value) is int and 0 <= value < 24 * 60 else value
        if isinstance(text, str):
            read_clock(text)
        return text

    @field_validator("duration", mode="before")
    @classmethod
    def _is_a_duration(cls, value: object) -> object:
        if value is not None:
            seconds_of(str(value))
        return value


class CostSettings(_Section):
    """What the pool costs: for what `--dry-run --probe` tells, and for the bound on it."""

    gpu_hour: float | None = Field(None, ge=0, description="price of one GPU for an hour, in any currency")
    gpus: int | None = Field(
        None, ge=1, description="GPUs of the pool; one per server if not set, none for the embedded one"
    )
    max: float | None = Field(
        None, gt=0, description="what the GPUs may cost from the start of a run until asking ends: a `budget`, too"
    )


class MaintainSettings(_Section):
    """What `triplelake maintain` keeps."""

    retain_days: int | None = Field(
        None, ge=0, description="days that files stay which no table needs any more; if not set, as each table says: 7"
    )
    allow_short_retention: bool = Field(
        False, description="allow fewer than 7 days, which breaks readers of older versions"
    )


class Settings(_Section):
    """All settings of a run."""

    input: tuple[str, ...] = Field((), description="files, folders, globs, a Delta path or a table")
    output: str | None = Field(None, description="path, or `catalog.schema`, of the tables")
    ontology: str = Field("ontologies/general.yaml", description="ontology file; `none` for free predicates")
    profile: str = Field("auto", description="profile of `conf/models` by name, or a file; `auto` asks the server")
    pool: str = Field("embedded", description="`embedded`, a pool file, or URLs of servers separated by commas")
    api_key: str | None = Field(None, description="key of the servers; best set in the environment", repr=False)
    corpus: CorpusSettings = CorpusSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    prompt: PromptSettings = PromptSettings()
    answer: AnswerSettings = AnswerSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    asking: AskingSettings = AskingSettings()
    run: RunSettings = RunSettings()
    budget: BudgetSettings = BudgetSettings()
    cost: CostSettings = CostSettings()
    maintain: MaintainSettings = MaintainSettings()

    def gpus(self, servers: int) -> int:
        """GPUs of a pool of so many servers; 0 where the embedded one works on this machine's processor."""
        return self.cost.gpus or (0 if self.pool == "embedded" else servers)

    def public(self) -> dict[str, Any]:
        """The effective settings as JSON types, without secrets."""
        return self.model_dump(mode="json", exclude=set(_SECRETS))


def conf_dir() -> Path:
    """The folder with the ontologies, prompts and model profiles that come with the project."""
    if named := os.environ.get("TRIPLELAKE_CONF"):
        return Path(named)
    package = Path(__file__).resolve().parent
    checkout = package.parent.parent / "conf"
    return checkout if (checkout / "extract.yaml").is_file() else package / "conf"


def find_conf(name: str | Path, *, kind: str) -> Path:
    """A file or folder that a setting names: as written, else below the project's `conf/`.

    Raises:
        UsageError: neither exists; the message names the one that may be meant, or lists what is there.
    """
    path = local_file(name, UsageError)
    shipped = conf_dir() / path
    for candidate in (path, shipped):
        if candidate.exists():
            return candidate
    meant = [
        each.relative_to(conf_dir()) for each in sorted(conf_dir().rglob("*")) if path.name in (each.name, each.stem)
    ]
    there = sorted(p.name for p in shipped.parent.glob("*")) if shipped.parent.is_dir() else []
    if meant:
        hint = f"Did you mean `{meant[0]}`?"
    elif there:
        hint = f"In {shipped.parent} there are: {', '.join(there)}."
    else:
        hint = "Check the path."
    raise UsageError(str(name), f"no such {kind}", hint)


def load_settings(
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of a run.

    Args:
        file: a YAML file, or None.
        overrides: dotted keys from the command line (`{"run.limit": 20}`), strongest.
        environ: variables such as `TRIPLELAKE__RUN__LIMIT=20`; `os.environ` if None.

    Raises:
        UsageError: unreadable YAML, an unknown key (with the nearest known one), a value out of range.
    """
    tree = _read_yaml(file) if file else {}
    for key, value in (*_from_env(os.environ if environ is None else environ), *(overrides or {}).items()):
        _put(tree, key, value)
    where = str(file) if file else "settings"
    _refuse_secrets(tree)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _explain(error, where) from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """`key=value` of `--set`, the value read as YAML."""
    key, separator, value = text.partition("=")
    if any(name in key.replace("-", "_").lower() for name in _SECRETS):
        # The whole command line is in what Spark logs of its events, in the shell's history and in the list of
        # processes.
        raise UsageError(
            "--set api_key",
            "would leave the key where others can read it: Spark's event log, the shell's history, the processes",
            "Set it in the environment, export TRIPLELAKE__API_KEY=…, or name `api_key_env` or `api_key_file` in a "
            "pool file. Replace a key that stood in a command line.",
        )
    if not separator or not key:
        raise UsageError(f"--set {masked(text)}", "is not of the form key=value", "Example: --set run.limit=20")
    return key.strip(), _value(key.strip(), value)


def known_keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """All dotted keys of the settings, in the order of their declaration."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, _Section):
            yield from known_keys(info.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a tree under their dotted names."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(str(file), error.strerror or "cannot be read", "Check --config.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(str(file), f"is not valid YAML: {yaml_problem(error)}", "Mend that line.") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        reason = f"holds a {type(tree).__name__}, not a mapping of settings"
        raise UsageError(str(file), reason, "Write `key: value` lines, as in conf/extract.yaml.")
    return tree


def _from_env(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX):
            key = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
            yield key, _value(key, environ[name])


def _value(key: str, text: str) -> Any:
    if key in _SECRETS:
        return text  # a key of digits is a text too
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        child = tree.setdefault(parent, {})
        if not isinstance(child, dict):
            raise UsageError(dotted, f"`{parent}` is a value, not a section", _nearest(dotted))
        tree = child
    tree[last] = value


def _explain(error: ValidationError, where: str) -> UsageError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return UsageError(key, f"unknown setting (in {where})", _nearest(key))
    got = "" if _SECRETS & set(map(str, first["loc"])) else f", but got {first['input']!r}"
    reason = first["msg"].lower().removeprefix("value error, ")
    return UsageError(key, f"{reason}{got}", "See docs/options.md.")


def _refuse_secrets(tree: Mapping[str, Any]) -> None:
    """Settings are shown and stored in `runs`, and the names of inputs in `documents`."""
    for key, value in leaves(tree):
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and key not in _SECRETS and (shown := masked(each)) != each:
                remedy = SECRETS_BELONG
                if key == "pool":
                    remedy = "Give the key of a server with `api_key_env` or `api_key_file` in a pool file."
                raise UsageError(f"{key}: {shown}", "carries a user, a password or a key", remedy)


def yaml_problem(error: Exception) -> str:
    """What is wrong with a YAML file and where; without the line itself, in which a key may stand."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem or error.context} in line {mark.line + 1}, column {mark.column + 1}"
    return _one_line(error)


def _nearest(key: str) -> str:
    known = list(known_keys())
    leaf = key.rpartition(".")[2]
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5) or [
        name for name in known if name.rpartition(".")[2] == leaf
    ]
    return f"Did you mean `{close[0]}`? All keys: docs/options.md." if close else "All keys: docs/options.md."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


FORMATS: tuple[str, ...] = get_args(CorpusFormat)
ENCODINGS: tuple[str, ...] = get_args(CorpusEncoding)
