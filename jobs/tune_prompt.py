"""Try ways of asking a model, and write the best as a profile: `python jobs/tune_prompt.py --gold … --to FILE`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("tune-prompt"))
