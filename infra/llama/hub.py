"""Fetch a model from the hub, at one commit, every file checked by the hash that the hub tells.

    hub.py list REPOSITORY [REVISION]      as JSON: the commit, and its files with size and hash
    hub.py fetch LIST FOLDER               fetch what is not there; a second call goes on where the first stopped

Runs in the environment of the conversion, which has huggingface_hub. `HF_ENDPOINT` and `HF_TOKEN` are its own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from model_files import EXIT_FAILED, EXIT_USAGE, fail, wanted

_BLOCK = 1 << 20


def main(argv: list[str]) -> int:
    try:
        match argv:
            case ["list", repository, *revision]:
                print(json.dumps(list_files(repository, *filter(None, revision)), indent=2))
            case ["fetch", listing, folder]:
                fetch(json.loads(Path(listing).read_text("utf-8")), Path(folder))
            case _:
                print(__doc__, file=sys.stderr)
                return EXIT_USAGE
    except GatedRepoError:
        fail(EXIT_FAILED, ENDPOINT, "this model is closed", "Ask its owner for access, and set HF_TOKEN to your key.")
    except RevisionNotFoundError:
        reason = f"is not a commit, tag or branch of this model at {ENDPOINT}"
        fail(EXIT_USAGE, "--revision", reason, "Check its name; --revision main is the newest.")
    except RepositoryNotFoundError:
        fail(
            EXIT_USAGE, "--model", f"is not at {ENDPOINT}, or closed", "Check its name; for a closed one set HF_TOKEN."
        )
    except OSError as error:
        remedy = "Run this again: it goes on from there. For a mirror set HF_ENDPOINT; behind a proxy, https_proxy."
        fail(EXIT_FAILED, ENDPOINT, _first_line(error), remedy)
    return 0


def list_files(repository: str, revision: str = "main") -> dict[str, Any]:
    info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    files: dict[str, dict[str, Any]] = {}
    for file in info.siblings or []:
        if wanted(file.rfilename):
            hashed = {"sha256": file.lfs.sha256} if file.lfs else {"git_sha1": file.blob_id}
            files[file.rfilename] = {"bytes": file.size, **hashed}
    if not any(name.endswith(".safetensors") for name in files):
        fail(EXIT_USAGE, f"--model {repository}", "has no weights in the form of safetensors", "Name another model.")
    return {"repository": repository, "revision": info.sha, "files": files}


def fetch(listing: dict[str, Any], folder: Path) -> None:
    files: dict[str, dict[str, Any]] = listing["files"]
    snapshot_download(listing["repository"], revision=listing["revision"], allow_patterns=list(files), local_dir=folder)
    for name, entry in files.items():
        if not is_the_file(folder / name, entry):
            (folder / name).unlink(missing_ok=True)
            fail(EXIT_FAILED, folder / name, "is not the file that the hub names (other hash)", "Run this again.")
    # Where huggingface_hub keeps the parts of downloads; there are none any more.
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def is_the_file(path: Path, entry: dict[str, Any]) -> bool:
    if not path.is_file() or path.stat().st_size != entry["bytes"]:
        return False
    if "sha256" in entry:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % entry["bytes"], usedforsecurity=False)  # as git names a file
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == (entry.get("sha256") or entry.get("git_sha1"))


def _first_line(error: OSError) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
