"""The pool file: what a job is given with `--pool`.

A running job looks at it every few seconds, so that taking a server out of it is the first half of draining it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import yaml

from deploy.errors import BadUsage
from deploy.inventory import Inventory, Server

_HEAD = """\
# Written by infra/pool.py from {inventory}; it writes it anew.
# While a job runs: a server that is taken out here gets nothing new, one that is added is used.
"""


def pooled(inventory: Inventory) -> tuple[Server, ...]:
    """The servers of the inventory that the pool file names; none if there is no file.

    Raises:
        BadUsage: what stands there is no pool file.
    """
    try:
        tree = yaml.safe_load(inventory.pool_file.read_text(encoding="utf-8"))
        urls = {entry["url"] for entry in tree["endpoints"]}
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
        remedy = "Move it away, or name another with `pool_file`; `up` writes a new one."
        raise BadUsage(str(inventory.pool_file), f"is not a pool file ({type(error).__name__})", remedy) from None
    return tuple(server for server in inventory.servers if server.url in urls)


def write_pool(inventory: Inventory, servers: Sequence[Server]) -> None:
    """Name these servers, in the order of the inventory; without any there is no pool file."""
    path = inventory.pool_file
    if not servers:
        path.unlink(missing_ok=True)
        return
    chosen = [server for server in inventory.servers if server in servers]
    key = _key(inventory)
    tree = {"endpoints": [{"url": server.url, **key} for server in chosen]}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    text = _HEAD.format(inventory=inventory.file.name) + yaml.safe_dump(tree, sort_keys=False)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _key(inventory: Inventory) -> dict[str, str]:
    if inventory.api_key_env:
        return {"api_key_env": inventory.api_key_env}
    if inventory.api_key_file:
        # As endpoints.py reads it: from the folder of the pool file.
        return {"api_key_file": os.path.relpath(inventory.api_key_file, inventory.pool_file.parent)}
    return {}
