"""Generated files as people find them in the cache folder: under a name that says what they compute."""

from __future__ import annotations

from lazygrad.runtime.cache import Store, digest

# Letters of a kernel's name that are kept in a file's name, and digits of the text's hash that follow.
NAME_LENGTH = 80
HASH_LENGTH = 16


def keep(store: Store, name: str, text: str) -> str:
    """Writes a generated file. Returns its path, or a name in brackets when it cannot be written."""
    stem = f"{name[:NAME_LENGTH]}_{digest(text)[:HASH_LENGTH]}"
    path = store.path(f"{stem}.py")
    if path.exists() or store.write_plain(path.name, text.encode()) is not None:
        return str(path)
    return f"<{stem}>"
