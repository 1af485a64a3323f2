"""The Triton backend: NVIDIA GPUs through CUDA's driver API, and ``triton:interpret`` on any machine.

Source generation turns kernels into files of Triton functions; the rest of this package compiles them, keeps the
binaries on disk and launches them. Importing it loads neither Triton nor CUDA, and it never needs torch.
"""

from lazygrad_triton.entry_point import backend

__all__ = ["backend"]
