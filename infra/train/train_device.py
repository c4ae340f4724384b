"""The device that is trained on: how much memory is free there, and how fast it multiplies."""

from __future__ import annotations

import ctypes
import time

import psutil
import torch

_SIDE = 1024
_PROBE_S = 0.5
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_MOST, _STEP = (1 << 31) - 1, 256 << 20


def keep_memory() -> None:
    """Make glibc keep what is freed: each batch asks for the same large pieces again.

    Without it the kernel takes them back and clears them anew, each time: measured with a vocabulary of 150,000, where
    the head's pieces are largest, it took a seventh of the CPU time of two layers and a head.
    """
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another system than Linux with glibc
    set_option(_M_MMAP_MAX, 0)
    set_option(_M_TRIM_THRESHOLD, _MOST)
    set_option(_M_TOP_PAD, _STEP)
    set_option(_M_ARENA_MAX, 1)


def device() -> torch.device:
    """This process's GPU, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def free_bytes(place: torch.device) -> float:
    """Memory of a device that nobody uses."""
    return float(torch.cuda.mem_get_info(place)[0] if place.type == "cuda" else psutil.virtual_memory().available)


def flops_per_s(place: torch.device, dtype: torch.dtype) -> float:
    """What a bare product of matrices reaches there; it takes half a second."""
    one = torch.randn(_SIDE, _SIDE, device=place, dtype=dtype)
    one @ one
    done, started = 0, time.monotonic()
    while time.monotonic() - started < _PROBE_S:
        one @ one
        if place.type == "cuda":
            torch.cuda.synchronize()
        done += 1
    return 2 * _SIDE**3 * done / (time.monotonic() - started)
