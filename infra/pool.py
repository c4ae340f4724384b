"""Bring llama.cpp servers to hosts, look after them, take them away: `python infra/pool.py --help`.

Hosts are reached over SSH and need no agent. `infra/inventory.example.yaml` shows what an inventory says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gevent import monkey

# pyinfra works on all hosts at once by gevent, which must come before whatever else opens connections.
monkey.patch_all()

# What serve.sh uses on a host counts here, too; there its scripts import one another by their bare names.
sys.path.append(str(Path(__file__).parent / "llama"))

from deploy.cli import main  # noqa: E402 - after both of these

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
