"""Apt repositories as text: what a release signs, which packages it has, which of them are meant.

Pure. https://wiki.debian.org/DebianRepository/Format and Debian's policy, chapters 5 and 7
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from toolkit.errors import UsageError

Stanza = Mapping[str, str]
"""The fields of one package by their lower-case name; a folded field is one line."""


def stanzas(text: str) -> Iterator[Stanza]:
    """The paragraphs of a Packages or Release file."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.splitlines():
            if line[:1].isspace() and key:
                fields[key] = f"{fields[key]} {line.strip()}".strip()
            else:
                name, colon, value = line.partition(":")
                key = name.lower() if colon else ""
                if key:
                    fields[key] = value.strip()
        if fields:
            yield fields


def signed_sums(release: str) -> dict[str, str]:
    """sha256 in hex by path, as a Release file lists them below `SHA256:`."""
    lines = iter(release.splitlines())
    for line in lines:
        if line.strip().lower() == "sha256:":
            break
    sums = {}
    for line in lines:
        words = line.split()
        if not line[:1].isspace() or len(words) != 3:
            break
        sums[words[2]] = words[0]
    return sums


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A package that a repository has. `file` is its path below the repository's URL."""

    name: str
    version: str
    architecture: str
    file: str
    sha256: str
    depends: str

    @classmethod
    def of(cls, stanza: Stanza) -> "Offer":
        """Raises KeyError, naming the field, for a stanza that lacks one."""
        return cls(
            name=stanza["package"],
            version=stanza["version"],
            architecture=stanza["architecture"],
            file=stanza["filename"].removeprefix("./"),
            sha256=stanza["sha256"],
            depends=", ".join(filter(None, (stanza.get("pre-depends"), stanza.get("depends")))),
        )


def choose(offers: Iterable[Offer], wanted: Iterable[str], place: str) -> tuple[Offer, ...]:
    """The newest fitting offer for each `NAME`, `NAME=VERSION` or `NAME=START*`, and for what they need
    of the same repository, sorted by name.

    Raises UsageError that says what there is; `place` is what the repository is called.
    """
    by_name: dict[str, list[Offer]] = {}
    for offer in offers:
        by_name.setdefault(offer.name, []).append(offer)
    chosen: dict[str, Offer] = {}
    for text in wanted:
        name, _, version = text.partition("=")
        chosen[name] = _newest(by_name.get(name, []), _matching(version)) or _fail(text, by_name, place)
    queue = list(chosen.values())
    while queue:
        for alternatives in filter(None, re.split(r"\s*,\s*", queue.pop().depends)):
            needs = [_need(each) for each in alternatives.split("|")]
            own = [(name, fits) for name, fits in needs if name in by_name]
            if not own or any(name in chosen and fits(chosen[name].version) for name, fits in own):
                continue
            # What the distribution has as well, apt finds there; only what fits is taken from here.
            found = next((each for name, fits in own if (each := _newest(by_name[name], fits))), None)
            if found and found.name not in chosen:
                chosen[found.name] = found
                queue.append(found)
    return tuple(sorted(chosen.values(), key=lambda offer: offer.name))


def _newest(offers: Iterable[Offer], fits: Callable[[str], bool]) -> Offer | None:
    fitting = [offer for offer in offers if fits(offer.version)]
    return max(fitting, key=lambda offer: version_key(offer.version), default=None)


def _matching(version: str) -> Callable[[str], bool]:
    """As apt reads what stands behind the equals sign."""
    if version.endswith("*"):
        return lambda found: found.startswith(version[:-1])
    return lambda found: found == version or not version


_NEED = re.compile(
    r"\s*(?P<name>[a-z0-9][a-z0-9+.-]*)(?::\w+)?\s*(?:\((?P<how>[<>=]+)\s*(?P<version>[^\s)]+)\))?"
)


def _need(text: str) -> tuple[str, Callable[[str], bool]]:
    """A dependency's name, and which versions it takes."""
    match = _NEED.match(text)
    if not match or not match["how"]:
        return (match["name"] if match else ""), lambda _: True
    bound, how = version_key(match["version"]), match["how"]

    def fits(found: str) -> bool:
        key = version_key(found)
        return (
            (key > bound and how in (">>", ">", ">="))
            or (key < bound and how in ("<<", "<", "<="))
            or (not key < bound and not key > bound and how in ("=", ">=", "<="))
        )

    return match["name"], fits


def _fail(text: str, by_name: Mapping[str, list[Offer]], place: str) -> Offer:
    name = text.partition("=")[0]
    versions = sorted({offer.version for offer in by_name.get(name, [])}, key=version_key)
    if versions:
        raise UsageError(
            f"{place} has no {text}: it has {', '.join(versions[-8:])}",
            remedy="Mend the version under `apt` in images.toml.",
        )
    raise UsageError(
        f"{place} has no package {name}", remedy="Mend the name or the source under `apt` in images.toml."
    )


@functools.lru_cache(maxsize=4096)
def version_key(text: str) -> "_Version":
    """Orders versions as dpkg does: https://www.debian.org/doc/debian-policy/ch-controlfields.html#version"""
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return _Version(int(epoch) if epoch.isdigit() else 0, _parts(upstream), _parts(revision))


_Part = tuple[tuple[int, ...], int]
_NOTHING: _Part = ((0,), 0)


@functools.total_ordering
@dataclass(frozen=True)
class _Version:
    epoch: int
    upstream: tuple[_Part, ...]
    revision: tuple[_Part, ...]

    def __lt__(self, other: "_Version") -> bool:
        if self.epoch != other.epoch:
            return self.epoch < other.epoch
        for mine, its in ((self.upstream, other.upstream), (self.revision, other.revision)):
            for one, two in zip_longest(mine, its, fillvalue=_NOTHING):
                if one != two:
                    return one < two
        return False


def _parts(text: str) -> tuple[_Part, ...]:
    """Pairs of a text, as the order of its signs, and the number behind it. A tilde is before the end."""
    parts = [
        ((*(_order(sign) for sign in signs), 0), int(number or 0))
        for signs, number in re.findall(r"([^0-9]*)([0-9]*)", text)
        if signs or number
    ]
    while parts and parts[-1] == _NOTHING:  # 1.0 and 1.0-0 are the same
        parts.pop()
    return tuple(parts)


def _order(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256
