"""The device that is trained on: how much memory is free there, and how fast it multiplies."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from train_options import Computed, Precision
from triplelake.errors import UsageError

_BF16_FLAGS = ("avx512_bf16", "amx_bf16", " bf16")
_INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", " i8mm")
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


def computed_in(wanted: Precision, place: torch.device) -> Computed:
    """What a device multiplies the base in: what was asked for, else what is quickest there.

    bf16 is slower than fp32 on a processor that does not multiply it, and int8 about four times as fast as fp32 on one
    that does.

    Raises:
        UsageError: int8 on a GPU.
    """
    if wanted == "int8" and place.type != "cpu":
        raise UsageError("--precision int8", "is for CPUs", "Leave it out: a GPU multiplies bf16.")
    if wanted != "auto":
        return wanted
    if place.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    known = _processor()
    if any(flag in known for flag in _BF16_FLAGS):
        return "bf16"
    return "int8" if any(flag in known for flag in _INT8_FLAGS) else "fp32"


def loaded_as(precision: Computed) -> torch.dtype:
    """The type that a model is loaded in, and that everything but its frozen weights is computed in."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def ops_per_s(place: torch.device, precision: Computed) -> float:
    """Operations per second of a bare product of matrices there; it takes half a second."""
    multiply = _product(place, precision)
    multiply()
    done, started = 0, time.monotonic()
    while time.monotonic() - started < _PROBE_S:
        multiply()
        if place.type == "cuda":
            torch.cuda.synchronize()
        done += 1
    return 2 * _SIDE**3 * done / (time.monotonic() - started)


def _product(place: torch.device, precision: Computed) -> Callable[[], torch.Tensor]:
    if precision == "int8":
        whole = torch.randint(-127, 128, (_SIDE, _SIDE), dtype=torch.int8)
        return lambda: torch._int_mm(whole, whole)
    one = torch.randn(_SIDE, _SIDE, device=place, dtype=loaded_as(precision))
    return lambda: one @ one
