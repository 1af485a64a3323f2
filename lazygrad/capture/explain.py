"""What ``explain()`` returns: each capture of a function, why it was made, and what it launches."""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.runtime.pool import readable_size


@dataclass(frozen=True)
class VariantReport:
    """One capture.

    ``kernels`` are the names of its launches in order. ``arena`` bytes hold what nobody sees, ``results`` bytes what it
    returns or leaves in ``.grad``, ``state`` bytes the tensors from outside that it reads. ``kept`` is False when the
    function left tensors behind, so that the capture served one call only.
    """

    why: str
    guards: tuple[str, ...]
    kernels: tuple[str, ...]
    arena: int
    results: int
    state: int
    kept: bool

    def __str__(self) -> str:
        text = (
            f"captured because {self.why}: {len(self.kernels)} kernels, {readable_size(self.arena)} of intermediate "
            f"values, {readable_size(self.results)} of results, {readable_size(self.state)} of state; "
            f"{len(self.guards)} guards"
        )
        return text if self.kept else f"{text}; not kept, since the function leaves tensors behind"


@dataclass(frozen=True)
class MemoryReport:
    """What a call will need, in bytes of the device's pool.

    ``live`` is in use before it (arguments and state among it, and ``prepared`` bytes that earlier calls have computed
    from values that stay the same), ``results`` is made anew for what it returns and leaves in ``.grad``, ``arena`` for
    intermediate values and for what kernels put aside while they run, and ``peak`` is the most that will be in use at
    one time. ``lines`` says which lines of the user's code the intermediate values belong to that are there when most
    are. The call that prepares something needs memory for that, too.
    """

    live: int
    prepared: int
    results: int
    arena: int
    lines: tuple[tuple[str, int], ...]

    @property
    def peak(self) -> int:
        """The most bytes in use at one time."""
        return self.live + self.results + self.arena

    def __str__(self) -> str:
        prepared = f" ({readable_size(self.prepared)} of it prepared by earlier calls)" if self.prepared else ""
        text = [
            f"{readable_size(self.peak)} at the peak: {readable_size(self.live)} in use before{prepared}, "
            f"{readable_size(self.results)} of results, {readable_size(self.arena)} of intermediate values"
        ]
        text += [f"  {readable_size(size):>10}  {line}" for line, size in self.lines]
        return "\n".join(text)


@dataclass(frozen=True)
class Explanation:
    """All captures of a function. ``plain`` says why it is called without being captured, if it ever is."""

    name: str
    variants: tuple[VariantReport, ...]
    plain: str | None

    def __str__(self) -> str:
        lines = [f"{self.name}: {len(self.variants)} captures"]
        lines += [f"  {number}. {variant}" for number, variant in enumerate(self.variants, start=1)]
        if self.plain is not None:
            lines.append(f"  called without being captured: {self.plain}")
        return "\n".join(lines)
