"""What SageMaker takes from S3 is one .tar.gz: which local files go into it, and where it is put."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.deployers.calls import Call
from toolkit.errors import UsageError

_PREFIX = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^\s]*))?")
ARCHIVE_SUFFIX = ".tar.gz"


def is_remote(text: str) -> bool:
    return text.startswith("s3://")


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A packed file on disk; `digest` is the sha256 of its bytes, in hex."""

    path: Path
    digest: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """`s3://BUCKET/PREFIX`, where archives are put under a name that has their digest."""

    bucket: str
    prefix: str

    def key(self, archive: Archive, name: str) -> str:
        return "/".join(filter(None, (self.prefix, archive.digest[:16], f"{name}{ARCHIVE_SUFFIX}")))

    def uri(self, archive: Archive, name: str) -> str:
        return f"s3://{self.bucket}/{self.key(archive, name)}"

    def upload(self, archive: Archive, name: str) -> Call:
        """Under one name there are always the same bytes: what is there need not be sent again."""
        request = {"Bucket": self.bucket, "Key": self.key(archive, name)}
        return Call(service="s3", operation="PutObject", request=request, file=archive.path)


def parse_place(text: str) -> Place:
    """Raises UsageError for anything but s3://BUCKET[/PREFIX]."""
    found = _PREFIX.fullmatch(text)
    if not found:
        raise UsageError(f"{text!r} is not a place in S3", remedy="Write it like this: s3://BUCKET/PREFIX.")
    return Place(bucket=found["bucket"], prefix=(found["prefix"] or "").strip("/"))


def members(path: Path, under: str = "") -> Mapping[str, Path]:
    """Name in the archive → file: a directory's files by their path in it, a file by its name.

    Raises UsageError when there is nothing, or a link that leads out of the directory.
    """
    if path.is_file():
        return {f"{under}{path.name}": path}
    if not path.is_dir():
        raise UsageError(
            f"{path} is neither a file nor a directory", remedy="Check the path, or name s3://…."
        )
    root = path.resolve()
    found = {}
    for each in sorted(path.rglob("*")):
        if not each.is_file() or "__pycache__" in each.parts:
            continue
        if not each.resolve().is_relative_to(root):
            raise UsageError(
                f"{each} leads out of {path}", remedy="Copy the file there in place of the link."
            )
        found[f"{under}{each.relative_to(path).as_posix()}"] = each
    if not found:
        raise UsageError(f"{path} has no files", remedy="Put the model's files there.")
    return found
