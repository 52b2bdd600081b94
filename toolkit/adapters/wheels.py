"""Wheels in directories of this machine."""

from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version


def locked_wheels(requirements: str, directories: Iterable[Path]) -> tuple[Path, ...]:
    """The wheels of the name and version of some pinned requirement, `NAME==VERSION --hash=…` to a line.

    Whether one is the file that was locked is judged by its hash when it is installed.
    """
    pinned = {_pin(line.split(" ", 1)[0]) for line in requirements.splitlines() if line}
    wheels = (path for directory in directories for path in sorted(directory.glob("*.whl")))
    return tuple(path for path in wheels if _named(path) in pinned)


def _pin(text: str) -> tuple[str, Version]:
    requirement = Requirement(text)
    return canonicalize_name(requirement.name), Version(next(iter(requirement.specifier)).version)


def _named(path: Path) -> tuple[str, Version] | None:
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename:
        return None
    return name, version
