"""Apt repositories as text: what is signed, which version is newest, what is meant."""

import pytest

from toolkit.aptindex import Offer, choose, signed_sums, stanzas, version_key
from toolkit.errors import UsageError


def offer(name: str, version: str, depends: str = "") -> Offer:
    return Offer(
        name=name,
        version=version,
        architecture="amd64",
        file=f"pool/{name}_{version}_amd64.deb",
        sha256="a" * 64,
        depends=depends,
    )


OFFERS = (
    offer("tools", "2.9"),
    offer("tools", "2.10", "runtime (>= 3:1.0), libc6 (>= 2.27) | libc6.1, lib-extra"),
    offer("tools", "3.0~rc1"),
    offer("runtime", "2.0"),
    offer("runtime", "3:1.5", "tools | other"),
    offer("lib-extra", "1.0"),
    offer("other", "9"),
)


def names(*wanted: str) -> list[str]:
    return [f"{each.name}={each.version}" for each in choose(OFFERS, wanted, "source v")]


def test_versions_are_in_the_order_that_dpkg_has() -> None:
    # As `dpkg --compare-versions` orders them.
    ordered = ["0", "1.0~~", "1.0~", "1.0~rc1", "1.0", "1.0-1~deb11u1", "1.0-1", "1.0-1+b1", "1.0a", "1.0+"]
    ordered += [
        "1.0.0",
        "1.2.3-4ubuntu1",
        "1.2.3-4ubuntu1.1",
        "2.20.9.0",
        "2.20.10",
        "2.20.22.0-1b9c",
        "1:0.1",
    ]
    assert sorted({*ordered}, key=version_key) == ordered
    assert version_key("1.0") == version_key("1.0-0") == version_key("0:01.0")


def test_the_newest_that_fits_is_meant() -> None:
    assert names("other") == ["other=9"]
    assert "tools=3.0~rc1" in names("tools")
    assert "tools=2.9" in names("tools=2.9")
    assert "tools=2.10" in names("tools=2.*")


def test_what_a_package_needs_of_the_same_repository_comes_along_and_nothing_else() -> None:
    assert names("tools=2.*") == ["lib-extra=1.0", "runtime=3:1.5", "tools=2.10"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("tolls", "source v has no package tolls"),
        ("tools=9.*", "source v has no tools=9.*: it has 2.9, 2.10, 3.0~rc1"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(wanted: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        names(wanted)
    assert caught.value.message == said
    assert "images.toml" in caught.value.remedy


def test_sums_are_those_of_the_sha256_block() -> None:
    sums = "SHA256:\n ff 1 a/Packages\n ee 2 b/Packages.gz\n"
    release = f"MD5Sum:\n 0 1 a/Packages\n{sums}SHA512:\n dd 1 a/Packages\n"
    assert signed_sums(release) == {"a/Packages": "ff", "b/Packages.gz": "ee"}
    assert signed_sums("Origin: nobody\n") == {}


def test_a_package_is_read_from_its_paragraph_and_a_lack_is_named() -> None:
    text = (
        "Package: a\nVersion: 1\nArchitecture: all\nFilename: ./pool/a.deb\nSHA256: ff\nPre-Depends: b\n"
        "Depends: c,\n d\nDescription: one\n two: three\n\n\nPackage: b\n"
    )
    first, second = stanzas(text)
    found = Offer.of(first)
    assert (found.name, found.file, found.depends) == ("a", "pool/a.deb", "b, c, d")
    with pytest.raises(KeyError, match="version"):
        Offer.of(second)
