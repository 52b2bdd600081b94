"""The machine's own apt sources → where bases are made from."""

from collections.abc import Iterable
from pathlib import Path

from toolkit.bases import Mirrors
from toolkit.errors import NeedNotMet
from toolkit.machine.sources import Source

# Where Debian keeps its keys; a source that names others is believed.
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def debian_mirrors(
    sources: Iterable[Source], codename: str, *, main: str = "", security: str = ""
) -> Mirrors:
    """The mirrors that are named, else those of a Debian system whose release is `codename`.

    Raises NeedNotMet when apt has no source for it, or when this is another distribution: there a
    base is named by reference instead.
    """
    if main:
        return Mirrors(main=main, security=security or main, keyring=Path(_KEYRING))
    own = [source for source in sources if source.uris and "main" in source.components]
    here = next((source for source in own if codename in source.suites), None)
    if here is None:
        raise NeedNotMet(
            f"apt has no source for {codename or 'Debian'} main, so there is no mirror to make bases from",
            remedy='Give the machine one, or let the base be an image: reference = "HOST/debian:bullseye"',
        )
    updates = next((source for source in own if f"{codename}-security" in source.suites), here)
    keyring = dict(here.options).get("Signed-By", _KEYRING)
    return Mirrors(
        main=here.uris[0],
        security=security or updates.uris[0],
        keyring=Path(keyring if keyring.startswith("/") else _KEYRING),
    )
