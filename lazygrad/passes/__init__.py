"""Simplification of graphs: one pass a file, and the pipeline as a tuple in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad.ir.node import Node
from lazygrad.passes.algebra import simplify_algebra
from lazygrad.passes.composites import none_kept, replace_composites
from lazygrad.passes.contractions import fold_into_contractions, replace_degenerate_contractions
from lazygrad.passes.identities import drop_identities
from lazygrad.passes.indexing import drop_empty_scatters
from lazygrad.passes.phases import leave_unused_taps, split_phases
from lazygrad.passes.reductions import simplify_reductions
from lazygrad.passes.rewrite import Pass, everywhere
from lazygrad.passes.small_images import sum_over_places
from lazygrad.passes.views import compose_views
from lazygrad.passes.waiting import wait_for_what_runs

PIPELINE: tuple[Pass, ...] = (
    everywhere(
        drop_identities,  # leaf and detach mean something to differentiation only
        compose_views,  # every chain of movements becomes one view with a canonical index map
        drop_empty_scatters,
        simplify_algebra,  # constants folded, neutral elements and double negations gone
        simplify_reductions,  # sums of sums joined, reductions of what is broadcast shortened
    ),
    fold_into_contractions,  # views and sums of a contraction's result move to its operands
    everywhere(
        compose_views,
        split_phases,  # strided gradients as interleaved dense contractions
        leave_unused_taps,  # those that see nothing but zeros around an image
        sum_over_places,  # windows larger than their image are not summed over their taps
        replace_degenerate_contractions,  # without rows, columns or sum it is a product or a reduction
    ),
    wait_for_what_runs,  # what views wait for may have been replaced
)


def simplify(roots: Sequence[Node], kept: Callable[[Node], bool] = none_kept) -> list[Node]:
    """The same values by fewer and canonical nodes. ``kept`` are the composites that the device computes itself."""
    current = replace_composites(roots, kept)
    for one_pass in PIPELINE:
        current = one_pass(current)
    return current
