"""Fit the confidence of triples on judged ones: `python jobs/calibrate.py --output … --gold …` or `--review …`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("calibrate"))
