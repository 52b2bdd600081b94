"""Where the user's script comes from: a directory, or an archive in S3 that is unpacked with care."""

from __future__ import annotations

import gzip
import logging
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from serving.errors import StartupError

logger = logging.getLogger(__name__)


def get_code_dir(source: str, *, region: str | None) -> Path:
    """The directory that SAGEMAKER_SUBMIT_DIRECTORY names.

    An archive goes into a new temporary directory, the only place of a read-only container that can be
    written. It stays there as long as the process: the script may import from it at any time.

    Raises:
        StartupError: the directory is not there, or the archive cannot be had or unpacked.
    """
    if source.startswith("s3://"):
        return _unpacked_from_s3(source, region)
    directory = Path(source)
    if not directory.is_dir():
        raise StartupError(
            f"SAGEMAKER_SUBMIT_DIRECTORY={source} is neither a directory in the container "
            "nor an s3://BUCKET/KEY.tar.gz."
        )
    return directory


def _unpacked_from_s3(uri: str, region: str | None) -> Path:
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = uri[len("s3://") :].partition("/")
    if not bucket or not key.endswith(".tar.gz"):
        raise StartupError(f"SAGEMAKER_SUBMIT_DIRECTORY={uri} is not of the form s3://BUCKET/KEY.tar.gz.")
    logger.info("fetching %s", uri)
    try:
        directory = Path(tempfile.mkdtemp(prefix="serving-code-"))
        with tempfile.TemporaryFile() as archive:
            boto3.client("s3", region_name=region).download_fileobj(bucket, key, archive)
            archive.seek(0)
            unpack(archive, directory)
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise StartupError(
            f"{uri} could not be fetched: {error}. Check that it exists, that the container's role has "
            "s3:GetObject on it, and SAGEMAKER_REGION."
        ) from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise StartupError(f"{uri} is not a readable .tar.gz: {error}.") from error
    except OSError as error:
        raise StartupError(
            f"{uri} could not be unpacked: {error}. It needs a temporary directory with free space: "
            "on a read-only root file system, mount one on /tmp."
        ) from error
    return directory


def unpack(archive: IO[bytes], directory: Path) -> None:
    """Unpack a gzipped tar of files and directories; no member can land outside, whatever it is called.

    tarfile's own `data` filter is missing from Debian's Python 3.9.2 and 3.11.2 (PEP 706), so the rule is
    written out, and stricter: a link or a device is refused rather than inspected, and of the mode bits,
    owners and times in the archive nothing is kept.

    Raises:
        StartupError: a member may not be unpacked.
        tarfile.TarError, zlib.error, EOFError, OSError: the archive cannot be read, or the files not written.
    """
    with tarfile.open(fileobj=archive, mode="r:gz") as members:
        for member in members:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or "\0" in member.name:
                raise StartupError(f"The archive's member {member.name!r} would leave the code directory.")
            target = directory / path
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isfile():
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(members, member, target)
            else:
                raise StartupError(
                    f"The archive's member {member.name!r} is a link or a device; only files and directories "
                    "are unpacked. Pack the files that links lead to: tar --dereference -czf ..."
                )


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = members.extractfile(member)
    assert content is not None, "tarfile returns None only for members that are no files"
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
