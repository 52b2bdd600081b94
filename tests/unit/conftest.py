"""Unit tests stay within the process: whatever starts a program or opens a connection fails."""

import socket
import subprocess
from collections.abc import Iterator
from typing import Never

import hypothesis
import pytest

# How long an example takes depends on what else the machine does: no deadline.
hypothesis.settings.register_profile("unit", deadline=None, database=None)
hypothesis.settings.load_profile("unit")


class OutsideWorld(AssertionError):
    """A unit test reached for the network or another program."""


@pytest.fixture(scope="module", autouse=True)
def _within_the_process() -> Iterator[None]:
    def refuse(*arguments: object, **options: object) -> Never:
        raise OutsideWorld(f"a unit test reaches outside of its process: {arguments[1:]} {options}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", refuse)
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket.socket, "bind", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
