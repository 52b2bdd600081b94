"""The machine's own apt sources, read in both formats and extended by suites to borrow from.

The mirror, its key and its options are whatever the machine uses: nothing here knows a host.
Formats: https://manpages.debian.org/bookworm/apt/sources.list.5.en.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from toolkit.errors import NeedNotMet

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)")
# One-line options whose deb822 field is spelled differently; the others are the same word.
_FIELDS = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One deb822 stanza. `options` are the other fields (Signed-By …), values verbatim."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        fields = [
            ("Types", "deb"),
            ("URIs", " ".join(self.uris)),
            ("Suites", " ".join(self.suites)),
            ("Components", " ".join(self.components)),
            *self.options,
        ]
        return "".join(f"{name}: {value}\n" for name, value in fields)


def parse_one_line(text: str) -> tuple[Source, ...]:
    """The `deb` lines of a .list file; comments, deb-src and what apt itself would refuse are left out."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match:
            pairs = (option.partition("=") for option in (match["options"] or "").split())
            found.append(
                Source(
                    uris=(match["uri"],),
                    suites=(match["suite"],),
                    components=tuple(match["components"].split()),
                    options=tuple(
                        (_FIELDS.get(name, name.title()), value.replace(",", " ")) for name, _, value in pairs
                    ),
                )
            )
    return tuple(found)


def parse_deb822(text: str) -> tuple[Source, ...]:
    """The enabled `deb` stanzas of a .sources file; a key written into Signed-By is kept with its lines."""
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found = []
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t") and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().title()
                fields[name] = value.strip()
        if "deb" not in fields.pop("Types", "").split() or fields.pop("Enabled", "yes").lower() in _NO:
            continue
        found.append(
            Source(
                uris=tuple(fields.pop("Uris", "").split()),
                suites=tuple(fields.pop("Suites", "").split()),
                components=tuple(fields.pop("Components", "").split()),
                options=tuple(fields.items()),
            )
        )
    return tuple(found)


_NO = ("no", "false", "0", "off", "without", "disable")


def parse_sources(files: Mapping[str, str]) -> tuple[Source, ...]:
    """All sources of `files` (name → text): *.sources are deb822, *.list one-line, as apt decides it."""
    parsers = {".sources": parse_deb822, ".list": parse_one_line}
    return tuple(
        source
        for name in sorted(files)
        for suffix, parse in parsers.items()
        if name.endswith(suffix)
        for source in parse(files[name])
    )


def extend(sources: Iterable[Source], codename: str, borrowed: Iterable[str]) -> tuple[Source, ...]:
    """The distribution's own sources plus the `borrowed` suites from the same mirror.

    Third-party sources are left out: their packages (docker-ce, containerd.io) conflict with the
    distribution's. Raises NeedNotMet when no source has `codename`'s main archive.
    """
    own = tuple(
        source
        for source in sources
        if any(suite.partition("-")[0].partition("/")[0] == codename for suite in source.suites)
    )
    archive = next(
        (source for source in own if codename in source.suites and "main" in source.components), None
    )
    if archive is None:
        raise NeedNotMet(
            f"apt has no source for {codename} main, so there is no mirror to install packages from",
            remedy=f"Give the machine one: a file in /etc/apt/sources.list.d with `Suites: {codename}`.",
        )
    extra = tuple(borrowed)
    return (*own, replace(archive, suites=extra, components=("main",))) if extra else own


def preferences(borrowed: Mapping[str, tuple[str, ...]]) -> str:
    """apt preferences that take the named packages from their suite and nothing else from there.

    600 beats the release's own 500; 100 installs a package only if nothing else has it (a dependency).
    https://manpages.debian.org/bookworm/apt/apt_preferences.5.en.html
    """
    rows = [(" ".join(packages), suite, 600) for suite, packages in sorted(borrowed.items())]
    rows += [("*", suite, 100) for suite in sorted(borrowed)]
    return "\n".join(
        f"Package: {packages}\nPin: release n={suite}\nPin-Priority: {priority}\n"
        for packages, suite, priority in rows
    )
