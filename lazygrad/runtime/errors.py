"""What can fail on a device, as errors that say what was asked for and what to do."""

from __future__ import annotations


class CompileError(RuntimeError):
    """A device compiler refused generated source. The message has its log and where the source can be read."""


class OutOfMemoryError(MemoryError):
    """A device has no room for a buffer. The message has the sizes and the largest holders with the user's lines."""
