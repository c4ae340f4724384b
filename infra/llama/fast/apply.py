"""Put what this folder holds into a source of llama.cpp: copies of its files, and the lines that call them.

    python3 apply.py SOURCE

Each line goes beside a place that a pattern finds exactly once; where one does not, nothing is written, and the exit
code is 4.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
_INCLUDED = ("*.h", "*.inc")
_LLGUIDANCE = "common/llguidance.cpp"
_SAMPLING = "common/sampling.cpp"
_ARGUMENTS = "common/arg.cpp"
_SERVER = "tools/server/server-context.cpp"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change.

    Args:
        file: of llama.cpp.
        pattern: matches at one place of the file, in multiline mode.
        instead: what stands there afterwards; `\\g<0>` is what stood there.
    """

    file: str
    pattern: str
    instead: str


def _before(file: str, pattern: str, line: str) -> Edit:
    return Edit(file, pattern, f"{line}\n\\g<0>")


def _behind(file: str, pattern: str, line: str) -> Edit:
    return Edit(file, pattern, f"\\g<0>\n{line}")


EDITS: Sequence[Edit] = (
    _before(_LLGUIDANCE, r"^#else$", '#include "fast/llguidance.inc"'),
    _before(_LLGUIDANCE, r"^#endif.*LLAMA_USE_LLGUIDANCE", '#include "fast/no_llguidance.inc"'),
    _behind(_SAMPLING, r"\Z", '#include "fast/sampling.inc"'),
    _behind(_ARGUMENTS, r'^#include "arg\.h"$', '#include "fast/crew.h"'),
    _before(_ARGUMENTS, r'^ *add_opt\(common_arg\(\s*\{"-tb", "--threads-batch"\}', '#include "fast/arg.inc"'),
    _behind(_SERVER, r'^#include "sampling\.h"$', '#include "fast/round.h"'),
    _before(_SERVER, r"^static common_speculative_output_limits server_output_limits", '#include "fast/known.inc"'),
    Edit(
        _SERVER,
        r"common_speculative_n_max\(&params\.speculative\)(?=\);\n\n    result\.total)",
        r"std::max<int32_t>(\g<0>, fast::MAX_FORCED)",
    ),
    _behind(_SERVER, r"^    llama_tokens spec_draft;$", "    fast::forced_run fast_run;"),
    _behind(_SERVER, r"^    fast::forced_run fast_run;$", "    std::vector<llama_token_data> fast_known;"),
    _behind(
        _SERVER, r"^ *generated_token_probs\.clear\(\);$", "        fast_run.clear();\n        fast_known.clear();"
    ),
    _before(_SERVER, r"^ *i_batch = batch\.size\(\);$", '#include "fast/add_forced.inc"'),
    Edit(
        _SERVER,
        r"\bget_token_probabilities\(ctx_tgt, idx, n_probs_request\)",
        "fast_probabilities(slot.fast_known, ctx_tgt, idx, n_probs_request, result.tok)",
    ),
    _before(
        _SERVER,
        r"^ *iterate\(slots, \[&\]\(server_slot & slot\) \{\s*// optionally send prompt processing progress",
        '#include "fast/before_slots.inc"',
    ),
    _before(
        _SERVER,
        r"^ *if \(!is_inside_view\(slot\.i_batch\)\) \{$",
        "            if (!fast_tell_forced(slot)) {\n                return;\n            }",
    ),
    Edit(
        _SERVER,
        r"\bid = common_sampler_sample\(slot\.smpl\.get\(\), slot\.ctx_tgt, tok_idx\);",
        r"id = fast_round.token(slot.id);\n                if (id == LLAMA_TOKEN_NULL) {\n"
        r"                    \g<0>\n                }",
    ),
    Edit(
        _SERVER,
        r"^ *common_sampler_accept\(slot\.smpl\.get\(\), id, true\);$",
        '#include "fast/after_choice.inc"\n            if (!fast_round.chose(slot.id)) {\n\\g<0>\n            }',
    ),
    _before(_SERVER, r'^ *\{ "build_info", +meta\.build_info \},$', '        { "fast_grammar", true },'),
)


class DoesNotFit(Exception):
    """A place that is not there, or not once."""


def edited(texts: dict[str, str]) -> dict[str, str]:
    """The files of llama.cpp, by name, with the edits.

    Raises:
        DoesNotFit: a pattern matches nowhere, or at several places.
    """
    done = dict(texts)
    for edit in EDITS:
        done[edit.file], places = re.subn(edit.pattern, edit.instead, done[edit.file], flags=re.MULTILINE)
        if places != 1:
            raise DoesNotFit(f"{edit.file}: {places} places match {edit.pattern}")
    return done


def apply(source: Path) -> None:
    """Change a source.

    Raises:
        DoesNotFit: it is not a source that this knows; nothing was written.
    """
    try:
        texts = {name: (source / name).read_text("utf-8") for name in {edit.file for edit in EDITS}}
    except FileNotFoundError as error:
        raise DoesNotFit(f"{error.filename} is not there") from error
    changed = edited(texts)
    folder = source / "common" / "fast"
    folder.mkdir(exist_ok=True)
    for pattern in _INCLUDED:
        for file in HERE.glob(pattern):
            shutil.copyfile(file, folder / file.name)
    for name, text in changed.items():
        (source / name).write_text(text, "utf-8")


def main() -> int:
    """Apply, and say in one line what does not fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the folder of llama.cpp")
    options = parser.parse_args()
    try:
        apply(options.source)
    except DoesNotFit as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
