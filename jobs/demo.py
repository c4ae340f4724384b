"""Extract the sample corpus with a real model and say what of it is right: `make demo`."""

from __future__ import annotations

import sys

from triplelake.cli import demo_command

if __name__ == "__main__":
    sys.exit(demo_command(sys.argv[1:]))
