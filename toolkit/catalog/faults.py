"""What is wrong with a catalog: collected while it is read, told all at once, sorted by line."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from toolkit.catalog.positions import Path, Positions
from toolkit.errors import CatalogInvalid

_SHOWN = 80
"""Characters of a value that a message repeats."""


@dataclass(kw_only=True)
class Faults:
    """The faults of one file. `add` notes one, `check` raises them."""

    filename: str
    positions: Positions
    _found: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._found)

    def line(self, path: Path) -> int:
        return self.positions.line(path)

    def add(self, path: Path, message: str) -> None:
        self._found.append((self.line(path), message))

    def check(self) -> None:
        """Raises CatalogInvalid when there is a fault."""
        if self._found:
            in_order = sorted(self._found, key=lambda fault: fault[0])
            raise CatalogInvalid(f"{self.filename}:{line}: {message}" for line, message in in_order)


def quote(text: str) -> str:
    """`text` in quotes on one line: what does not print is escaped, so no value can fake a message."""
    return '"' + escape(text).replace('"', '\\"') + '"'


_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")


def escape(text: str) -> str:
    """`text` as one short line, which may go into a log: without the credentials of a URL."""
    if len(text) <= _SHOWN and text.isprintable() and "@" not in text and "\\" not in text:
        return text
    text = _CREDENTIALS.sub("…", text)
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in shown.replace("\\", "\\\\"))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`. Did you mean "arm64"?`, or nothing when no word of `known` is near."""
    near = nearest(word, known)
    return f". Did you mean {quote(near)}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    candidates = sorted(known)
    # difflib takes quadratic time, and what is so long is no misspelling.
    near = difflib.get_close_matches(word[:_SHOWN].lower(), candidates, n=1)
    return near[0] if near else None
