"""apt's sources are read as apt reads them, and extended without naming a host."""

import pytest

from toolkit.errors import NeedNotMet
from toolkit.machine.distributions import DISTRIBUTIONS
from toolkit.machine.sources import extend, parse_sources, preferences

DEB822 = """\
Types: deb
# http://old.example/debian
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""


def test_both_formats_give_the_same_source() -> None:
    line = (
        "deb [signed-by=/usr/share/keyrings/archive.gpg] http://mirror.example/debian bookworm main # here\n"
    )
    (from_line,) = parse_sources({"sources.list": line})
    (stanza,) = parse_sources({"debian.sources": DEB822})
    assert from_line.uris == stanza.uris == ("http://mirror.example/debian",)
    assert from_line.suites == ("bookworm",)
    assert stanza.suites == ("bookworm", "bookworm-updates")
    assert dict(from_line.options) == dict(stanza.options) == {"Signed-By": "/usr/share/keyrings/archive.gpg"}


def test_options_of_a_line_become_fields() -> None:
    (source,) = parse_sources(
        {"x.list": "deb [arch=amd64,arm64 trusted=yes] http://mirror.example d main contrib"}
    )
    assert dict(source.options) == {"Architectures": "amd64 arm64", "Trusted": "yes"}
    assert source.components == ("main", "contrib")


def test_a_key_inside_the_stanza_keeps_its_lines() -> None:
    key = (
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQIN\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    text = f"Types: deb\nURIs: http://mirror.example\nSuites: bookworm\nComponents: main\n{key}"
    (source,) = parse_sources({"a.sources": text})
    assert " .\n mQIN\n" in str(source)
    assert parse_sources({"a.sources": str(source)}) == (source,)


def test_files_that_apt_ignores_are_ignored() -> None:
    assert (
        parse_sources({"a.list.disabled": "deb http://mirror.example bookworm main", "b.list": "# none"})
        == ()
    )


def test_borrowed_suites_come_from_the_machines_own_mirror() -> None:
    third_party = (
        "deb http://other.example/docker bookworm-test stable\ndeb http://node.example nodistro main\n"
    )
    sources = parse_sources({"debian.sources": DEB822, "x.list": third_party})
    *_, last = extend(sources, "bookworm", ["trixie"])
    assert last.uris == ("http://mirror.example/debian",)
    assert last.suites == ("trixie",)
    assert dict(last.options) == {"Signed-By": "/usr/share/keyrings/archive.gpg"}
    assert not any("node.example" in str(source) for source in extend(sources, "bookworm", ["trixie"]))


def test_nothing_is_added_when_nothing_is_borrowed() -> None:
    sources = parse_sources({"debian.sources": DEB822})
    assert extend(sources, "bookworm", ()) == sources


def test_a_machine_without_a_mirror_is_told_so() -> None:
    with pytest.raises(NeedNotMet, match="no source for bookworm main") as caught:
        extend((), "bookworm", ())
    assert "Suites: bookworm" in caught.value.remedy


def test_only_the_named_packages_are_taken_from_a_borrowed_suite() -> None:
    text = preferences({"trixie": ("docker.io",)})
    assert "Package: docker.io\nPin: release n=trixie\nPin-Priority: 600\n" in text
    assert "Package: *\nPin: release n=trixie\nPin-Priority: 100\n" in text


def test_no_distribution_borrows_a_suite_without_naming_packages() -> None:
    assert all(packages for row in DISTRIBUTIONS for packages in row.borrowed.values())
