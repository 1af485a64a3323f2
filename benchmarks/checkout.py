"""Makes a checkout run where nobody installed it: its packages importable, its backends known, progress bars optional.

An installed lazygrad is left alone. Nothing is written to disk: what an installation would have put there as metadata
is served from memory, through the interface that importlib.metadata has for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from importlib.metadata import Distribution, DistributionFinder, entry_points
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
GROUP = "lazygrad.backends"


class CheckoutDistribution(Distribution):
    """The metadata that installing the checkout would make, as far as it is needed to run it."""

    def __init__(self, project: dict[str, Any]) -> None:
        entries = ConfigParser()
        entries.optionxform = str  # type: ignore[assignment, method-assign]
        entries.read_dict(project["entry-points"])
        written = StringIO()
        entries.write(written)
        self._texts = {
            "METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
            "entry_points.txt": written.getvalue(),
        }

    def read_text(self, filename: str) -> str | None:
        return self._texts.get(filename)

    def locate_file(self, path: Any) -> Path:
        return ROOT.joinpath(path)


class CheckoutFinder(DistributionFinder):
    """Finds the checkout among distributions, before an older installation of it."""

    def __init__(self, distribution: CheckoutDistribution) -> None:
        self._distribution = distribution

    def find_distributions(self, context: Any = DistributionFinder.Context()) -> Iterator[Distribution]:  # noqa: B008
        if context.name in (None, self._distribution.metadata["Name"]):
            yield self._distribution

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Modules are found in the ordinary way."""


def prepare() -> None:
    """To be called before lazygrad is imported."""
    if (ROOT / "lazygrad").is_dir() and (ROOT / "pyproject.toml").is_file():
        for folder in (ROOT / "backends", ROOT):
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
        _serve_metadata()
    if find_spec("tqdm") is None:
        sys.modules["tqdm"] = _silent_tqdm()


def _serve_metadata() -> None:
    if sys.version_info < (3, 11):
        return  # has no reader of TOML; there lazygrad must be installed
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {point.name for point in entry_points(group=GROUP)}
    if not known >= set(project["entry-points"][GROUP]):
        sys.meta_path.insert(0, CheckoutFinder(CheckoutDistribution(project)))


def _silent_tqdm() -> ModuleType:
    """A module in tqdm's place whose progress bars show nothing."""

    class Bar:
        def __init__(self, iterable: Iterable[Any] = (), *_: Any, **options: Any) -> None:
            self._iterable = iterable

        def __iter__(self) -> Iterator[Any]:
            return iter(self._iterable)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n: float = 1) -> None:
            pass

    module = ModuleType("tqdm")
    module.__dict__.update(tqdm=Bar, trange=lambda *bounds, **options: Bar(range(*bounds)))
    return module
