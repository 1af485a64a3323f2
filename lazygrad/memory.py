"""How much memory devices use, and which lines of the user's code use it.

Bytes are those of the buffers of one device's pool. *Live* bytes are in use by tensors (and, while a program is
submitted, by its intermediate values), *cached* ones wait to be used again, and *peak* is the most that were live at
one time. The NumPy reference has no pool: for it everything is 0.

>>> import lazygrad as lg
>>> from lazygrad import memory
>>> x = lg.ones(1000).realize()
>>> memory.statistics(x.device).live >= 0
True
"""

from __future__ import annotations

from lazygrad import runtime
from lazygrad.runtime.pool import Holder, Pool, PoolStatistics, readable_size
from lazygrad.tensor.devices import DeviceLike, canonical

__all__ = ["Holder", "PoolStatistics", "empty_cache", "holders", "prepared", "reset_peak", "statistics", "summary"]

# How many lines a summary names.
SHOWN_LINES = 10


def _pool(device: DeviceLike) -> Pool | None:
    opened = runtime.device(canonical(device))
    return opened.pool if isinstance(opened, runtime.CompilingDevice) else None


def statistics(device: DeviceLike = None) -> PoolStatistics:
    """Live, peak and cached bytes of a device; how often memory was taken from the system, and used again.

    Args:
        device: None is the default device.
    """
    pool = _pool(device)
    return PoolStatistics(0, 0, 0, 0, 0) if pool is None else pool.statistics()


def prepared(device: DeviceLike = None) -> int:
    """Bytes, among the live ones, of values that programs compute once and keep while what they come from stays.

    They go with that, with ``empty_cache``, and where memory is short.

    Args:
        device: None is the default device.
    """
    pool = _pool(device)
    return 0 if pool is None else pool.derived_bytes()


def reset_peak(device: DeviceLike = None) -> None:
    """Lets the peak begin anew with what is live now."""
    pool = _pool(device)
    if pool is not None:
        pool.reset_peak()


def empty_cache(device: DeviceLike = None) -> None:
    """Gives cached memory back to the system, and that of values which programs have prepared for further runs."""
    pool = _pool(device)
    if pool is not None:
        pool.empty_cache()


def holders(device: DeviceLike = None) -> list[Holder]:
    """The user's lines whose buffers are live, with bytes and number of buffers, the largest first."""
    pool = _pool(device)
    return [] if pool is None else pool.holders()


def summary(device: DeviceLike = None) -> str:
    """All of this as text."""
    name = canonical(device)
    found = statistics(device)
    lines = [
        f"memory of {name}: {readable_size(found.live)} live, {readable_size(found.peak)} at the peak, "
        f"{readable_size(found.cached)} cached"
    ]
    held = holders(device)
    for holder in held[:SHOWN_LINES]:
        lines.append(f"  {readable_size(holder.size):>10}  {holder.buffers:5} buffers  {holder.line}")
    if len(held) > SHOWN_LINES:
        rest = held[SHOWN_LINES:]
        lines.append(
            f"  {readable_size(sum(h.size for h in rest)):>10}  {sum(h.buffers for h in rest):5} buffers  "
            f"of {len(rest)} other lines"
        )
    return "\n".join(lines)
