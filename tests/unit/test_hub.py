"""Published weights come from a cache or a server, checked either way, and errors say where was searched."""

import hashlib
import http.server
import io
import threading
import warnings

import numpy as np
import pytest

from lazygrad import hub
from lazygrad.serialization import StoredArray, read_checkpoint, write_checkpoint


def checkpoint_bytes() -> bytes:
    file = io.BytesIO()
    write_checkpoint({"weight": StoredArray(np.arange(3, dtype=np.float32))}, file)
    return file.getvalue()


CONTENT = checkpoint_bytes()
HASH = hashlib.sha256(CONTENT).hexdigest()
NAME = f"tiny-{HASH[:8]}.pth"
# Port 9 is "discard"; nothing listens there, so a connection is refused at once.
NOWHERE = f"http://127.0.0.1:9/models/{NAME}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /models/..., another content at /changed/..., a cut one at /cut/..., else 404."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path.startswith("/absent/"):
            self.send_error(404)
            return
        body = b"other" if self.path.startswith("/changed/") else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:100] if self.path.startswith("/cut/") else body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path / "lazygrad"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return {
        "lazygrad": tmp_path / "lazygrad" / "checkpoints" / NAME,
        "torch": tmp_path / "torch" / "hub" / "checkpoints" / NAME,
    }


def place(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_download_is_kept_and_not_repeated(server, caches, capsys):
    for _ in range(2):
        path = hub.fetch(f"{server.url}/models/{NAME}")
        assert path == caches["lazygrad"]
        assert path.read_bytes() == CONTENT
    assert server.requests == [f"/models/{NAME}"]
    assert [file.name for file in path.parent.iterdir()] == [NAME]
    assert NAME in capsys.readouterr().err


def test_progress_can_be_silent(server, capsys):
    hub.fetch(f"{server.url}/models/{NAME}", progress=False)
    assert capsys.readouterr().err == ""


def test_file_name_and_prefix_of_ones_own(server, caches):
    path = hub.fetch(f"{server.url}/models/x?download=1", "own.pth", HASH[:12].upper(), progress=False)
    assert path == caches["lazygrad"].with_name("own.pth")


def test_model_dir_comes_first(server, tmp_path):
    path = hub.fetch(f"{server.url}/models/{NAME}", model_dir=tmp_path / "mine", progress=False)
    assert path == tmp_path / "mine" / NAME


@pytest.mark.parametrize("cache", ["lazygrad", "torch"])
def test_caches_serve_without_a_network(cache, caches):
    place(caches[cache], CONTENT)
    path = hub.fetch(NOWHERE)
    assert path == caches[cache]
    np.testing.assert_array_equal(read_checkpoint(path)["weight"].array, [0, 1, 2])


def test_torch_cache_follows_torch_rules(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub.torch_checkpoint_folder() == tmp_path / "xdg" / "torch" / "hub" / "checkpoints"
    torch_hub = pytest.importorskip("torch.hub")
    assert str(hub.torch_checkpoint_folder().parent) == torch_hub.get_dir()


def test_no_network_names_file_places_and_url(caches):
    with pytest.raises(hub.DownloadError) as caught:
        hub.fetch(NOWHERE)
    for part in (NAME, str(caches["lazygrad"]), str(caches["torch"]), NOWHERE):
        assert part in str(caught.value)
    assert not caches["lazygrad"].exists()


def test_damaged_copies_are_reported_and_passed_over(server, caches):
    place(caches["lazygrad"], b"damaged")
    place(caches["torch"], CONTENT)
    with pytest.warns(UserWarning, match=rf"{NAME} is damaged.*{hashlib.sha256(b'damaged').hexdigest()}"):
        assert hub.fetch(NOWHERE) == caches["torch"]


def test_damaged_copies_are_replaced_by_a_download(server, caches):
    place(caches["lazygrad"], b"damaged")
    place(caches["torch"], b"also damaged")
    with pytest.warns(UserWarning, match="is damaged"):
        assert hub.fetch(f"{server.url}/models/{NAME}", progress=False) == caches["lazygrad"]
    assert caches["lazygrad"].read_bytes() == CONTENT
    assert caches["torch"].read_bytes() == b"also damaged"


def test_a_copy_without_a_known_hash_is_taken(caches):
    place(caches["torch"], CONTENT)
    plain = caches["torch"].with_name("plain.pth")
    plain.write_bytes(b"anything")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hub.fetch(NOWHERE, "plain.pth") == plain
        plain.rename(plain.with_name("plain-0123abcd.pth"))
        assert hub.fetch(NOWHERE, "plain-0123abcd.pth", check_hash=False).read_bytes() == b"anything"


@pytest.mark.parametrize(
    ("folder", "expected"), [("changed", "should begin with"), ("cut", "bytes came|broke"), ("absent", "404")]
)
def test_bad_downloads_leave_nothing_behind(server, caches, folder, expected):
    with pytest.raises(hub.DownloadError, match=expected):
        hub.fetch(f"{server.url}/{folder}/{NAME}", progress=False)
    assert list(caches["lazygrad"].parent.iterdir()) == []


@pytest.mark.parametrize("name", ["../x.pth", "/etc/passwd", "..", "a/b"])
def test_file_names_with_folders_are_refused(name):
    with pytest.raises(ValueError, match="without folders"):
        hub.fetch(NOWHERE, name)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x.pth", "x.pth"])
def test_only_web_addresses_are_downloaded(url, tmp_path):
    with pytest.raises(ValueError, match="http and https"):
        hub.download_url_to_file(url, tmp_path / "x.pth")
