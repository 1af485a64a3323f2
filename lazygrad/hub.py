"""Published weights: found in a cache, or downloaded, and checked either way.

    a URL -> a file name and the beginning of its SHA-256 -> a checked file -> a state dict

Publishers put the hash into the name ("resnet18-f37072fd.pth"), so a file's name says what it must contain.
Caches are searched before the network is asked, PyTorch's own among them: weights that PyTorch has downloaded
are not downloaded again.
"""

import hashlib
import http.client
import os
import re
import secrets
import urllib.parse
import urllib.request
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from lazygrad import serialization
from lazygrad.runtime.cache_folder import cache_folder, private_folder

#: A name's last "-" and eight or more hexadecimal digits before the suffix: torch's convention for a hash.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[^.]+$")
_CHUNK_BYTES = 1 << 20
#: A server that sends nothing for so long is taken for gone.
_TIMEOUT_SECONDS = 30.0


class DownloadError(OSError):
    """A file is in no cache and could not be downloaded."""


def load_state_dict_from_url(
    url: str,
    model_dir: str | os.PathLike[str] | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = True,
    file_name: str | None = None,
    weights_only: bool = True,
    sha256_prefix: str | None = None,
) -> Any:
    """The object saved in the file at ``url``, from a cache where one has the file.

    The arguments are those of ``torch.hub.load_state_dict_from_url``, with two defaults turned to the safe
    side: the hash is checked, and nothing in the file is executed.

    Args:
        url: an http or https address.
        model_dir: where to look first, and to keep a download; lazygrad's cache where not given.
        map_location: the device for the tensors; None is the default device.
        progress: whether to show a progress bar while downloading.
        check_hash: whether a hash in the file's name binds its content.
        file_name: the file's name in caches, where it is not the last part of the URL.
        weights_only: True; see ``lazygrad.load``.
        sha256_prefix: the beginning of the file's SHA-256 in hexadecimal, where the name does not have it.

    Raises:
        DownloadError: no cache has the file and the download failed, or brought another content.
        CheckpointError: the file is not a checkpoint that lazygrad loads.
    """
    path = fetch(url, file_name, sha256_prefix, model_dir=model_dir, progress=progress, check_hash=check_hash)
    return serialization.load(path, map_location, weights_only=weights_only)


def fetch(
    url: str,
    file_name: str | None = None,
    sha256_prefix: str | None = None,
    *,
    model_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    check_hash: bool = True,
) -> Path:
    """The path of a local copy of the file at ``url``, whose hash has been checked where one is known.

    Looks in ``model_dir``, lazygrad's cache and PyTorch's cache, in this order, then downloads to the first.
    A copy with a wrong hash is reported by a warning and passed over. Arguments and errors are those of
    ``load_state_dict_from_url``.
    """
    name = file_name or _name_in(url)
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"file_name={name!r}: a file's name without folders is expected")
    prefix = sha256_prefix.lower() if sha256_prefix else _hash_in(name) if check_hash else ""
    folders = [checkpoint_folder(), torch_checkpoint_folder()]
    if model_dir is not None:
        folders.insert(0, Path(model_dir))
    for folder in folders:
        path = folder / name
        if path.is_file() and _is_sound(path, prefix):
            return path
    target = folders[0] / name
    if not cache_folder().exists():
        private_folder()  # so that what is run, which will lie beside, cannot come from others
    try:
        download_url_to_file(url, target, prefix, progress)
    except OSError as error:
        searched = "\n".join(f"  {folder / name}" for folder in folders)
        raise DownloadError(
            f"{name} is in no cache and could not be downloaded: {error}\n"
            f"Searched:\n{searched}\n"
            f"Download {url}\non a machine with a network, and put the file at one of these places."
        ) from error
    return target


def download_url_to_file(
    url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Downloads ``url`` to the path ``dst``, which appears complete and checked or not at all.

    Args:
        url: an http or https address.
        dst: the file to write; folders on the way are made.
        hash_prefix: the beginning of the content's SHA-256 in hexadecimal.
        progress: whether to show a progress bar.

    Raises:
        OSError: no connection, an incomplete transfer, or a content with another hash.
        ValueError: the URL is not of http or https.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url}: only http and https addresses are downloaded")
    path = Path(dst)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    request = urllib.request.Request(url, headers={"User-Agent": "lazygrad"})
    try:
        with (
            urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response,
            open(partial, "xb") as file,
        ):
            announced = response.headers.get("Content-Length")
            total = int(announced) if announced and announced.isdigit() else None
            digest = _copy(response, file, total, path.name, progress)
        if total is not None and partial.stat().st_size != total:
            raise OSError(f"{url}: {partial.stat().st_size} of {total} bytes came before the connection ended")
        if hash_prefix and not digest.startswith(hash_prefix.lower()):
            raise OSError(f"{url}: the content has the SHA-256 {digest}, which should begin with {hash_prefix}")
        partial.replace(path)
    except http.client.HTTPException as error:
        raise OSError(f"{url}: the server broke the connection ({error!r})") from error
    finally:
        partial.unlink(missing_ok=True)


def checkpoint_folder() -> Path:
    """Where lazygrad keeps downloaded weights: ``checkpoints`` in ``LAZYGRAD_CACHE`` or the user's cache."""
    return cache_folder() / "checkpoints"


def torch_checkpoint_folder() -> Path:
    """Where PyTorch keeps downloaded weights, by its own rules (``TORCH_HOME``, ``XDG_CACHE_HOME``)."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(os.environ.get("TORCH_HOME") or user_cache / "torch")
    return home.expanduser() / "hub" / "checkpoints"


def _name_in(url: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])


def _hash_in(name: str) -> str:
    found = _HASH_IN_NAME.search(name)
    return found[1] if found else ""


def _is_sound(path: Path, prefix: str) -> bool:
    if not prefix:
        return True
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest().startswith(prefix):
        return True
    warnings.warn(
        f"{path} is damaged and not used: its SHA-256 is {digest.hexdigest()}, "
        f"which should begin with {prefix}. Delete the file.",
        stacklevel=4,
    )
    return False


def _copy(source: BinaryIO, target: BinaryIO, total: int | None, name: str, progress: bool) -> str:
    """Copies to the end and returns the SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with tqdm(total=total, desc=name, unit="B", unit_scale=True, unit_divisor=1024, disable=not progress) as bar:
        while chunk := source.read(_CHUNK_BYTES):
            target.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
