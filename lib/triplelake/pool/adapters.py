"""The adapters that a server has loaded, and whether its name tells of them: answers are known by that name alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from triplelake.codes import Code
from triplelake.pool.answers import LoraAdapter
from triplelake.pool.failures import ServerFailure
from triplelake.pool.protocol import ServerClient


def loaded_adapters(server: ServerClient) -> tuple[LoraAdapter, ...]:
    """The adapters of a server; none of one that knows no `/lora-adapters`.

    Raises:
        ServerFailure: of any code but `bad_request`.
    """
    try:
        return server.lora_adapters()
    except ServerFailure as failure:
        if failure.code == Code.BAD_REQUEST:
            return ()
        raise


def wrong_adapters(alias: str, loaded: Sequence[LoraAdapter]) -> str | None:
    """What is wrong with the adapters of a server of this name; None if answers under that name are all alike."""
    if not loaded:
        return None
    names = ", ".join(PurePath(each.path).name for each in loaded)
    if len(loaded) > 1:
        return f"has loaded {len(loaded)} adapters ({names}), and a pool has one"
    if loaded[0].scale != 1:
        return f"adds {loaded[0].scale:g} times its adapter {names}, not the whole of it"
    if "+" not in alias:
        return f"answers with the adapter {names}, of which its name {alias} does not tell"
    return None
