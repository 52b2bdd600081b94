"""Does a wheel's name say that it fits an image?

https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
"""

import re
from collections.abc import Collection

from packaging.utils import parse_wheel_filename

from toolkit.catalog.faults import quote
from toolkit.oci import Architecture

_MACHINE = re.compile(r"(?:many|musl)?linux\w*?_(x86_64|aarch64|i686|armv7l|ppc64le|s390x)")


def wheel_problem(filename: str, python: str, architectures: Collection[Architecture]) -> str | None:
    """Why no image with this Python takes the wheel, or not on each of `architectures`; None when all do."""
    _, _, _, tags = parse_wheel_filename(filename)
    if not any(_fits_python(tag.interpreter, tag.abi, python) for tag in tags):
        made_for = "/".join(sorted({tag.interpreter for tag in tags}))
        return f"is for {made_for}, the image has Python {quote(python)}"
    platforms = {tag.platform for tag in tags}
    for architecture in architectures:
        if not any(_fits_machine(platform, architecture) for platform in platforms):
            return f"is for {'/'.join(sorted(platforms))}, the image is built for {quote(architecture)} too"
    return None


def _fits_python(interpreter: str, abi: str, python: str) -> bool:
    """`cp39` fits 3.9, with the stable ABI also later ones; `py3` and `py36` fit all from there on."""
    found = re.fullmatch(r"(cp|py)(\d)(\d*)", interpreter)
    if found is None:
        return False
    kind, major, minor = found.groups()
    ours = int(python.partition(".")[2])
    theirs = int(minor or 0)
    if major != "3":
        return False
    return theirs <= ours if kind == "py" or abi == "abi3" else theirs == ours


def _fits_machine(platform: str, architecture: Architecture) -> bool:
    found = _MACHINE.fullmatch(platform)
    return platform == "any" or (found is not None and found[1] == architecture.uname)
