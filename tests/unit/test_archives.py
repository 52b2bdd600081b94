"""Local files on their way to S3: what goes into an archive, its bytes, its name there."""

import os
import tarfile
from pathlib import Path

import pytest

from toolkit.adapters.archives import pack, read_archive
from toolkit.deployers.archives import Archive, Place, members, parse_place
from toolkit.errors import UsageError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    home = tmp_path / "model"
    (home / "1").mkdir(parents=True)
    (home / "1/saved_model.pb").write_text("graph")
    (home / "weights.bin").write_text("weights")
    (home / "__pycache__").mkdir()
    (home / "__pycache__/left.pyc").write_text("")
    return home


def test_a_directory_is_packed_by_the_paths_within_it(model: Path, tmp_path: Path) -> None:
    assert list(members(model)) == ["1/saved_model.pb", "weights.bin"]
    assert list(members(model, "code/")) == ["code/1/saved_model.pb", "code/weights.bin"]
    archive = pack(members(model), tmp_path / "out")
    with tarfile.open(archive.path) as packed:
        assert packed.getnames() == ["1/saved_model.pb", "weights.bin"]
        content = packed.extractfile("weights.bin")
        assert content and content.read() == b"weights"


def test_the_same_content_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    first = pack(members(model), tmp_path / "a")
    os.utime(model / "weights.bin", (1, 1))
    (model / "weights.bin").chmod(0o600)
    assert pack(members(model), tmp_path / "b").digest == first.digest
    assert read_archive(first.path) == first
    (model / "weights.bin").write_text("others")
    assert pack(members(model), tmp_path / "b").digest != first.digest


def test_a_file_is_packed_alone(model: Path) -> None:
    assert list(members(model / "weights.bin")) == ["weights.bin"]


def test_a_link_that_leads_out_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (model / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match="leads out of"):
        members(model)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_nothing_to_pack_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError):
        members(tmp_path / name)


def test_an_archive_is_put_under_its_digest(tmp_path: Path) -> None:
    archive = Archive(path=tmp_path / "x.tar.gz", digest="0123456789abcdef" * 4)
    place = parse_place("s3://models/team/demo/")
    assert place.uri(archive, "model") == "s3://models/team/demo/0123456789abcdef/model.tar.gz"
    upload = place.upload(archive, "model")
    assert upload.request == {"Bucket": "models", "Key": "team/demo/0123456789abcdef/model.tar.gz"}
    assert upload.to_json()["request"]["Body"] == f"the file {archive.path}"
    assert parse_place("s3://models") == Place(bucket="models", prefix="")


@pytest.mark.parametrize("text", ["models", "s3://", "s3://UPPER/x", "https://models/x"])
def test_anything_but_a_place_in_s3_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="s3://BUCKET/PREFIX"):
        parse_place(text)
