"""Extract the sample corpus with a real model and say what of it is right: `make demo`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("demo"))
