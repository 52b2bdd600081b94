"""images.lock: what the catalog's wishes resolved to, with hashes, reviewed and committed.

Pure: values (`model`), their text (`text`), whether they fit the catalog (`fits`), what moved between
two locks (`changes`). `toolkit lock` writes the file through adapters that ask indexes and mirrors.
A row whose source could not be reached is `unlocked` with the reason: nothing is ever guessed.
"""

from toolkit.lock.fits import (
    base_inputs_digest,
    get_base_row,
    get_locked,
    get_locked_base,
    inputs_digest,
    lookup_locked_base,
    other_digests,
)
from toolkit.lock.model import (
    BaseRow,
    Folder,
    Lock,
    LockedBase,
    LockedBases,
    LockedDownload,
    LockedUnit,
    UnlockedBase,
)
from toolkit.lock.text import format_lock, parse_lock

__all__ = [
    "BaseRow",
    "Folder",
    "Lock",
    "LockedBase",
    "LockedBases",
    "LockedDownload",
    "LockedUnit",
    "UnlockedBase",
    "base_inputs_digest",
    "format_lock",
    "get_base_row",
    "get_locked",
    "get_locked_base",
    "inputs_digest",
    "lookup_locked_base",
    "other_digests",
    "parse_lock",
]
