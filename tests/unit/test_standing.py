"""What a release with nothing to do leaves for the next one: nothing that changed goes unseen."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit
from toolkit.adapters.heads import agree
from toolkit.adapters.standing import digest_of_files, keep_standing, look_at_sources, lookup_standing
from toolkit.cli.release import release
from toolkit.standing import Asked, Standing, loads, parse_asked

ASKED = Asked(registry="localhost:5000", catalog="images.toml", patterns=("a", "b*"))
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
TYPE = "application/vnd.oci.image.index.v1+json"


def standing(*told: str) -> Standing:
    return Standing(
        sources="1" * 64,
        files=("dist/release.json", "dist/uris.md"),
        left="2" * 64,
        host="localhost:5000",
        accept=f"{TYPE}, application/json",
        answers=(("/v2/one/manifests/1.0", DIGEST, TYPE, "711"), ("/v2/two/manifests/1.0", OTHER, TYPE, "9")),
        told=told,
    )


@given(st.lists(st.text()))
def test_what_was_kept_is_read_as_it_was(told: list[str]) -> None:
    read = loads(standing(*told).dumps())
    assert read
    assert read.told == tuple(told)
    assert read.dumps() == standing(*told).dumps()


@given(st.data())
def test_what_was_torn_or_touched_counts_as_nothing(data: st.DataObject) -> None:
    text = standing("nothing changed").dumps()
    at = data.draw(st.integers(0, len(text) - 1))
    assert loads(text[:at]) is None
    other = data.draw(st.characters().filter(lambda character: character != text[at]))
    assert loads(text[:at] + other + text[at + 1 :]) is None


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("", ("REGISTRY", "images.toml")),
        ("--setup --locked --jobs 4", ("REGISTRY", "images.toml")),
        ("--registry other:1/a --catalog=b.toml", ("other:1/a", "b.toml")),
        ("one --registry=other two*", ("other", "images.toml", "one", "two*")),
    ],
)
def test_a_plain_release_is_understood_without_its_command(words: str, wanted: tuple[str, ...]) -> None:
    asked = parse_asked(words.split(), registry="REGISTRY", catalog="images.toml")
    assert asked
    assert asked.text.splitlines() == [*wanted]


def test_every_other_option_of_the_command_is_left_to_it() -> None:
    plain = {"--registry", "--catalog", "--jobs", "--setup", "--locked"}
    options = [each for each in release.params if isinstance(each, click.Option)]
    for name in (name for option in options for name in (*option.opts, *option.secondary_opts)):
        for words in ([name], [name, "1"], [f"{name}=1"]):
            asked = parse_asked(words, registry="r", catalog="c")
            assert asked is None or name in plain, words
    for words in (["--jobs", "0"], ["--jobs", "x"], ["--registry"], ["--"], ["-h"], ["--setup=yes"]):
        assert parse_asked(words, registry="r", catalog="c") is None, words


def head(digest: str, length: str, media_type: str = TYPE, status: str = "200 OK", more: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: {media_type}\r\n"
        f"Docker-Content-Digest: {digest}\r\n{more}\r\n"
    ).encode()


FIRST, SECOND = head(DIGEST, "711"), head(OTHER, "9")


def test_answers_agree_when_each_says_the_same_in_the_same_order() -> None:
    assert agree(FIRST + SECOND, standing().answers)
    assert agree(head(DIGEST, "711", more="X-Other: 1\r\nX-Other: 2\r\n") + SECOND, standing().answers)


@pytest.mark.parametrize(
    "answers",
    [
        b"",
        FIRST,
        SECOND + FIRST,
        FIRST + SECOND + FIRST,
        FIRST + SECOND + b"H",
        FIRST + SECOND[:-2],
        FIRST + head(DIGEST, "9"),
        FIRST + head(OTHER, "10"),
        FIRST + head(OTHER, "9", "application/json"),
        FIRST + head(OTHER, "9", status="404 Not Found"),
        FIRST + head(OTHER, "9", status="307 Temporary Redirect"),
        FIRST + head(OTHER, "9", status="401 Unauthorized"),
        FIRST + head(OTHER, "9", more=f"Docker-Content-Digest: {DIGEST}\r\n"),
        FIRST + b"HTTP/1.1 200 OK\r\n\r\n",
        FIRST + b"HTTP/1.1 100 Continue\r\n\r\n" + SECOND,
        b"\xff\xfe\r\n\r\n\r\n\r\n",
    ],
)
def test_any_other_answer_is_a_doubt(answers: bytes) -> None:
    assert not agree(answers, standing().answers)


FILES = {
    "images.toml": b"[groups]\n",
    "images.lock": b"version = 2\n",
    "dockerfiles/a.Dockerfile.j2": b"FROM {{ base }}\n",
    "dockerfiles/vendors/b.j2": b"RUN true\n",
    "dockerfiles/serving/serve": b"#!/bin/sh\n",
    "dockerfiles/serving/serving/app.py": b"",
    ".cache/bases/debian11-0123/base.json": b"{}",
    "dist/journal/20261121T120000Z-1a2b3c4d.jsonl": b"{}\n",
}


def write(project: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def look(project: Path, **environment: str) -> str:
    return look_at_sources(str(project / "images.toml"), environment).digest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path, FILES)
    return tmp_path


def test_the_same_is_seen_as_the_same(project: Path) -> None:
    before = look(project)
    (project / "dockerfiles" / "serving" / "__pycache__").mkdir()
    (project / "README.md").write_text("beside it")
    write(project, {name: FILES[name] for name in FILES if "journal" not in name})
    assert look(project) == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.data())
def test_each_byte_of_each_file_counts(project: Path, data: st.DataObject) -> None:
    write(project, FILES)
    before = look(project)
    name = data.draw(st.sampled_from(sorted(FILES)))
    content = data.draw(st.binary(max_size=20).filter(lambda drawn: drawn != FILES[name]))
    (project / name).write_bytes(content)
    assert look(project) != before


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_file_counts_by_its_name_and_by_being_there(project: Path, name: str) -> None:
    before = look(project)
    path = project / name
    path.rename(path.with_name(f"{path.name}.old"))
    gone = look(project)
    assert gone != before
    path.with_name(f"{path.name}.old").unlink()
    assert look(project) != before


@pytest.mark.parametrize("name", ["dockerfiles/new.j2", "dockerfiles/serving/serving/new.py"])
def test_a_new_file_counts(project: Path, name: str) -> None:
    before = look(project)
    write(project, {name: b""})
    assert look(project) != before


def test_where_one_file_ends_and_the_next_begins_counts(project: Path) -> None:
    write(project, {"dockerfiles/a": b"bc", "dockerfiles/b": b""})
    before = look(project)
    write(project, {"dockerfiles/a": b"b", "dockerfiles/b": b"c"})
    assert look(project) != before


def another_day(monkeypatch: pytest.MonkeyPatch, _directory: Path) -> None:
    tomorrow = time.gmtime(time.time() + 86_400)
    monkeypatch.setattr(time, "gmtime", lambda: tomorrow)


def another_toolkit(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    write(directory, {"toolkit/__init__.py": b"", "toolkit/render.py": b"new"})
    monkeypatch.setattr(toolkit, "__file__", str(directory / "toolkit" / "__init__.py"))


def another_package(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    write(directory, {"site/jinja2-9.9.dist-info/METADATA": b""})
    monkeypatch.syspath_prepend(str(directory / "site"))


@pytest.mark.parametrize("change", [another_day, another_toolkit, another_package])
def test_the_day_the_toolkit_and_its_packages_count(
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch, Path], None],
) -> None:
    before = look(project)
    change(monkeypatch, tmp_path_factory.mktemp("elsewhere"))
    assert look(project) != before


def test_a_file_of_the_toolkit_counts_by_when_it_was_written(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    another_toolkit(monkeypatch, elsewhere)
    before = look(project)
    os.utime(elsewhere / "toolkit" / "render.py", (1, 1))
    assert look(project) != before


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "DOCKER_CONFIG", "https_proxy", "NO_PROXY"])
def test_what_the_environment_says_of_registries_counts(project: Path, name: str) -> None:
    assert len({look(project), look(project, **{name: "a"}), look(project, **{name: "b"})}) == 3


def test_when_something_was_last_touched_is_known(project: Path) -> None:
    at = look_at_sources(str(project / "images.toml"), {}).changed
    assert time.time() - 60 < at <= time.time() + 1
    later = (project / "dockerfiles" / "a.Dockerfile.j2").stat().st_ctime
    assert at >= later


def test_what_a_release_left_counts_byte_by_byte(tmp_path: Path) -> None:
    names = ("dist/release.json", "dist/uris.md")
    write(tmp_path, dict.fromkeys(names, b"x"))
    seen = {digest_of_files(str(tmp_path), names)}
    (tmp_path / "dist" / "uris.md").write_bytes(b"y")
    seen.add(digest_of_files(str(tmp_path), names))
    (tmp_path / "dist" / "uris.md").unlink()
    seen.add(digest_of_files(str(tmp_path), names))
    assert len(seen) == 3


def test_each_way_of_asking_has_its_own_memory_and_old_ones_go(tmp_path: Path) -> None:
    catalog = str(tmp_path / "images.toml")
    for number in range(60):
        keep_standing(Asked(registry=f"r{number}", catalog="c", patterns=()), catalog, standing(str(number)))
    kept = lookup_standing(Asked(registry="r59", catalog="c", patterns=()), catalog)
    assert kept
    assert kept.told == ("59",)
    assert lookup_standing(ASKED, catalog) is None
    assert len(list((tmp_path / ".cache" / "standing").iterdir())) == 50
