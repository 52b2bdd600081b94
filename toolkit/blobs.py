"""Blob bytes that are held against their descriptor while they stream."""

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO, cast

from toolkit.errors import VerificationFailed
from toolkit.oci import Descriptor

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


# What is read, hashed and sent at once: it stays in a core's cache, and a socket takes most of it in a call.
CHUNK = 1 << 18


def read_into(source: BinaryIO, view: memoryview) -> int:
    """How many bytes of what comes next were put into `view`, 0 at the end. No copy is made of them."""
    return cast("io.BufferedIOBase", source).readinto(view)


class BlobCorrupt(VerificationFailed):
    """The bytes of a blob are not those that its digest and size name."""


class CheckedBlob(io.RawIOBase):
    """Reads `source`; raises BlobCorrupt, naming the blob and `where`, at its end or once it is too long.

    Nothing is proven before the end was reached: read until `read` returns b"". Closing closes `source`.
    """

    def __init__(self, source: BinaryIO, descriptor: Descriptor, *, where: str) -> None:
        self._source = source
        self._descriptor = descriptor
        self._where = where
        self._hasher = hashlib.new(descriptor.digest.algorithm)
        self._length = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        count = read_into(self._source, view)
        self._hasher.update(view[:count])
        self._length += count
        if self._length > self._descriptor.size:
            raise self._corrupt(f"it has more than the {self._descriptor.size} bytes it should have")
        if not count and len(view):
            self._check_end()
        return count

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()

    def _check_end(self) -> None:
        if self._length < self._descriptor.size:
            raise self._corrupt(f"it ends after {self._length} of {self._descriptor.size} bytes")
        if self._hasher.hexdigest() != self._descriptor.digest.hex:
            raise self._corrupt(f"its bytes have the digest {self._hasher.name}:{self._hasher.hexdigest()}")

    def _corrupt(self, what: str) -> BlobCorrupt:
        return BlobCorrupt(
            f"{self._where}: blob {self._descriptor.digest} is corrupt: {what}",
            remedy="Build or push the image again; if it happens again, suspect the storage.",
        )
