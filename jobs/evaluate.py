"""Say how good a run is, by gold triples or by people's verdicts: `python jobs/evaluate.py --output … --gold …`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("evaluate"))
