"""The OpenCL backend: every platform and device that the system's OpenCL loader knows, CPUs through PoCL included.

Source generation turns kernels into OpenCL C; the rest of this package builds programs, keeps them on disk and
launches them. Importing it loads no OpenCL library.
"""

from lazygrad_opencl.entry_point import backend

__all__ = ["backend"]
