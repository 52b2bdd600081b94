"""What goes wrong before anything is built: the message names the thing, the cause and what to do."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.projects import ARM64, CATALOG, ROOT, SERVING, TEMPLATES, lock_of, units
from toolkit.errors import ExitCode
from toolkit.lock import format_lock

Snapshot = dict[str, bytes | None]


@dataclass(frozen=True)
class Failure:
    """What a command that failed left: its exit code and what people read."""

    code: int
    words: str

    def is_told(self, code: ExitCode, *words: str) -> None:
        assert ExitCode(self.code) is code, self.words
        for word in words:
            assert word in self.words
        assert "Traceback" not in self.words
        assert "internal error" not in self.words


@dataclass(frozen=True)
class Project:
    """A small project on disk, for commands that end before they need an engine."""

    directory: Path

    def write(self, path: str, content: str | bytes) -> None:
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def change(self, path: str, old: str, new: str) -> None:
        text = (self.directory / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def snapshot(self) -> Snapshot:
        return {
            str(path.relative_to(self.directory)): path.read_bytes() if path.is_file() else None
            for path in self.directory.rglob("*")
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "REGISTRY"}
        return subprocess.run(
            [sys.executable, "-m", "toolkit", *arguments],
            cwd=self.directory,
            env={**inherited, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def fail(self, *arguments: str, **environment: str) -> Failure:
        """Run a command that must write nothing, neither on stdout nor on disk."""
        before = self.snapshot()
        done = self.run(*arguments, **environment)
        assert done.stdout == ""
        assert self.snapshot() == before
        return Failure(code=done.returncode, words=done.stderr)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("images.toml", CATALOG)
    made.write("images.lock", format_lock(lock_of(units())))
    for name, text in TEMPLATES.items():
        made.write(f"dockerfiles/{name}", text)
    for name, content in SERVING.items():
        made.write(f"dockerfiles/serving/{name}", content)
    return made


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that is taken but not listened at."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def test_this_project_is_fine_until_a_test_breaks_it(project: Project) -> None:
    done = project.run("render", "*", "--out", "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 6


# --- the catalog


EVERY_COMMAND = [("plan",), ("release",), ("build",), ("render", "--out", "out"), ("lock",), ("bases",)]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: command[0])
def test_every_command_says_where_it_looked_for_a_catalog(project: Project, command: tuple[str, ...]) -> None:
    (project.directory / "images.toml").unlink()
    project.fail(*command).is_told(
        ExitCode.USAGE, f"there is no images.toml in {project.directory}", "--catalog FILE"
    )


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: command[0])
def test_every_command_tells_every_fault_of_the_catalog_at_its_line(
    project: Project, command: tuple[str, ...]
) -> None:
    project.change("images.toml", 'framework = "pytorch"', 'framwork = "pytorch"')
    project.change("images.toml", '["amd64", "arm64"]', '["amd64", "armv64"]')
    failure = project.fail(*command)
    failure.is_told(
        ExitCode.USAGE,
        'unknown key "framwork". Did you mean "framework"?',
        'architecture "armv64" is not one of amd64, arm64. Did you mean "arm64"?',
        "error: 2 faults in the catalog; nothing was touched",
    )
    assert [line.partition(" ")[0] for line in failure.words.splitlines()] == [
        "images.toml:13:", "images.toml:18:", "error:",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CATALOG + "\n[images", "images.toml:"),
        ("", "images.toml:1: "),
        (b"\xff\xfe[\x00", "images.toml:1: byte 0xff is not UTF-8 text"),
        (CATALOG.replace('["pytorch-*"', '["pytroch-*"'), 'pattern "pytroch-*" matches no build unit'),
    ],
    ids=["broken TOML", "empty", "UTF-16", "a group of nothing"],
)
def test_text_that_is_no_catalog_is_told_at_its_line(project: Project, text: str | bytes, words: str) -> None:
    project.write("images.toml", text)
    project.fail("plan").is_told(ExitCode.USAGE, words, "nothing was touched")


# --- templates


def test_a_missing_template_names_the_line_that_asks_for_it(project: Project) -> None:
    (project.directory / "dockerfiles" / "inference.Dockerfile.j2").unlink()
    project.fail("plan").is_told(
        ExitCode.USAGE,
        'images.toml:11: image "pytorch-inference": template "inference.Dockerfile.j2" is not in',
    )


def test_a_template_in_a_folder_is_found(project: Project) -> None:
    project.change("images.toml", 'framework = "pytorch"', 'framework = "pytorch"\ntemplate = "gpu/x.j2"')
    project.write("dockerfiles/gpu/x.j2", "FROM {{ base }}\n")
    done = project.run("render", ARM64, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert (project.directory / "out" / ARM64 / "Dockerfile").read_text() == "FROM debian:bullseye\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FROM {{ base }}\nRUN {{ framwork }}\n", ":2: 'framwork' is undefined"),
        ("FROM {{ base }}\n{% if x %}\n", ":2: "),
        ("{% include 'nope.j2' %}\n", ":1: template 'nope.j2' is not in dockerfiles/"),
    ],
    ids=["undefined", "syntax", "include"],
)
def test_a_jinja_mistake_is_told_at_its_line_and_nothing_is_rendered(
    project: Project, text: str, words: str
) -> None:
    project.write("dockerfiles/inference.Dockerfile.j2", text)
    place = "dockerfiles/inference.Dockerfile.j2"
    project.fail("render", "*", "--out", "out").is_told(ExitCode.USAGE, f"{place}{words}")


def test_a_mistake_in_the_last_unit_leaves_none_rendered(project: Project) -> None:
    project.write(
        "dockerfiles/inference.Dockerfile.j2",
        "{% if framework == 'tensorflow' %}{{ nope }}{% endif %}FROM {{ base }}\n",
    )
    project.fail("render", "*", "--out", "out").is_told(ExitCode.USAGE, "'nope' is undefined", "tensorflow-")


def test_a_template_that_is_no_text_is_named(project: Project) -> None:
    project.write("dockerfiles/macros.j2", b"\xff\xfe")
    project.fail("plan").is_told(ExitCode.USAGE, "macros.j2 is not UTF-8 text", "Save the template as UTF-8")


# --- the lock


def test_without_a_lock_the_command_that_writes_one_is_named(project: Project) -> None:
    (project.directory / "images.lock").unlink()
    project.fail("plan").is_told(ExitCode.USAGE, "images.lock has no ", "Run: toolkit lock")


def test_a_lock_that_does_not_fit_names_row_line_and_command(project: Project) -> None:
    project.change("images.toml", '"tensorflow-cpu-aws=={version}"', '"tensorflow-cpu-aws>={version}"')
    identifier = "tensorflow-2.9.1-cpu-py39-debian11-sagemaker-arm64"
    project.fail("plan").is_told(
        ExitCode.USAGE, "images.lock does not fit images.toml:24", f"Run: toolkit lock '{identifier}'"
    )


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "units = 3", "version = 99", b"\xff\xfe"])
def test_a_lock_that_cannot_be_read_says_how_to_get_one(project: Project, text: str | bytes) -> None:
    project.write("images.lock", text)
    project.fail("plan").is_told(ExitCode.USAGE, "images.lock", "toolkit lock '*'")


# --- what is asked for


def test_a_pattern_that_matches_nothing_names_the_nearest_unit(project: Project) -> None:
    typo = ARM64.replace("pytorch", "pytroch")
    for command in (("plan",), ("release",), ("build",), ("render", "--out", "out"), ("lock",)):
        project.fail(*command, typo).is_told(
            ExitCode.NOTHING_SELECTED, f"no build unit matches '{typo}'", f"Did you mean '{ARM64}'?"
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["relaese"], ["No such command 'relaese'. Did you mean 'release'?", "toolkit --help"]),
        (["plan", "--jsno"], ["No such option '--jsno'", "--json"]),
        (["render"], ["Missing option '--out'"]),
        (["render", "--out", "images.toml"], ["'images.toml' is a file"]),
        (["release", "--jobs", "0"], ["--jobs", "0 is not in the range"]),
        (["release", "--allow-drop-platform", "arm64"], ["'arm64' is not a platform", "linux/arm64"]),
        (["verify", "x", "--platform", "arm64"], ["'arm64' is not a platform", "linux/arm64"]),
        (["verify"], ["nothing to verify was named", "toolkit verify localhost:5000/NAME:TAG"]),
        (["verify", "registry.example/Name"], ["is not an image reference", "lower case"]),
        (["verify", "dockerfiles"], ["dockerfiles is no OCI image layout", "oci-layout"]),
        (["verify", "x", "--consumer", "lambda"], ["'lambda' is not one of", "sagemaker"]),
        (["verify", "--released"], ["there is no release yet", "make release"]),
        (["tables"], ["there is no release yet", "make release"]),
        (["tables", "--format", "xml"], ["'xml' is not one of", "csv"]),
        (["tables", "--record", "nope.json"], ["there is no file nope.json", "dist/releases/"]),
        (["plan", "--catalog", "dockerfiles"], ["dockerfiles is a directory", "--catalog FILE"]),
    ],
    ids=[
        "unknown command", "unknown option", "missing option", "file for directory", "no jobs",
        "dropped platform", "platform", "nothing to verify", "reference", "no layout", "consumer",
        "nothing released to verify", "nothing released", "format", "no record", "catalog is a directory",
    ],
)  # fmt: skip
def test_a_slip_on_the_command_line_is_told_with_what_to_write(
    project: Project, arguments: list[str], words: list[str]
) -> None:
    project.fail(*arguments).is_told(ExitCode.USAGE, *words)


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:5000",
        "",
        "/",
        "a b",
        "localhost:5000/Team",
        "localhost:5000/a:b",
        "localhost:port",
        "team/ml",
    ],
)
def test_text_that_is_no_registry_says_how_one_is_written(project: Project, text: str) -> None:
    how = "Write HOST[:PORT][/PATH], like localhost:5000 or registry.example/ml"
    project.fail("plan", "--registry", text).is_told(ExitCode.USAGE, f"{text!r} is not a registry", how)
    if text:
        project.fail("release", REGISTRY=text).is_told(ExitCode.USAGE, f"{text!r} is not a registry", how)


# --- the world


def test_a_registry_that_is_not_there_is_told_with_what_starts_one(
    project: Project, closed_port: int
) -> None:
    failure = project.fail("release", "--registry", f"localhost:{closed_port}")
    failure.is_told(
        ExitCode.REGISTRY_TROUBLE, f"error: localhost:{closed_port} refuses connections", "make setup"
    )
    assert "trying again in" in failure.words


def test_a_plan_needs_no_registry_offline_and_says_so_where_none_answers(
    project: Project, closed_port: int
) -> None:
    nowhere = f"localhost:{closed_port}"
    failure = project.fail("plan", "--registry", nowhere)
    failure.is_told(ExitCode.REGISTRY_TROUBLE, f"{nowhere} refuses connections", "toolkit plan --offline")
    offline = project.run("plan", "--offline", "--registry", nowhere)
    assert (offline.returncode, offline.stderr) == (0, "")
    assert "4 to build; 2 of 2 lists to publish" in offline.stdout
    explained = project.run("plan", "--offline", "--explain", ARM64)
    assert (explained.returncode, explained.stderr) == (0, "")
    assert "dockerfiles/inference.Dockerfile.j2 and images.toml:" in explained.stdout


def test_a_plan_names_the_source_that_does_not_answer_per_unit(
    project: Project, registry: str, closed_port: int
) -> None:
    def told(index: str) -> str:
        done = project.run("plan", "--registry", registry, UV_DEFAULT_INDEX=index)
        assert done.returncode == 0, done.stderr
        assert "secret" not in done.stdout + done.stderr
        return done.stdout

    closed = f"localhost:{closed_port}"
    refused = f"cannot be built now: package index: {closed} cannot be reached: it refuses connections"
    assert told(f"http://user:secret@{closed}/simple").count(refused) == 4
    # Any answer will do: this server has no packages, and says so.
    assert "package index" not in told(f"http://user:secret@{registry}/simple")


def test_who_asks_for_an_explanation_of_several_things_is_told_how(project: Project) -> None:
    failure = project.fail("plan", "--explain", ARM64, "--framework", "pytorch")
    failure.is_told(ExitCode.USAGE, "--explain names the image itself", f"toolkit plan --explain '{ARM64}'")


def test_a_ca_bundle_that_is_not_there_is_named_with_its_variable(project: Project) -> None:
    failure = project.fail("plan", SSL_CERT_FILE="/nowhere/ca.pem")
    failure.is_told(ExitCode.USAGE, "SSL_CERT_FILE names /nowhere/ca.pem, which is not a file")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema_version": 9}', b"\xff\xfe"])
@pytest.mark.parametrize("command", [("tables",), ("verify", "--released")], ids=lambda command: command[0])
def test_a_record_that_cannot_be_read_is_named_with_what_to_do(
    project: Project, command: tuple[str, ...], text: str | bytes
) -> None:
    project.write("dist/release.json", text)
    project.fail(*command).is_told(ExitCode.USAGE, "dist/release.json", "release again: make release")


def test_a_place_that_cannot_be_written_is_named(project: Project) -> None:
    failure = project.fail("render", "*", "--out", "images.toml/out")
    failure.is_told(ExitCode.NEED_NOT_MET, "Not a directory: images.toml/out", "Check the path")


def test_a_reader_that_goes_away_is_no_failure(project: Project) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "toolkit", "render", "*", "--out", "out"],
        cwd=project.directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_failure(project: Project, closing: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m toolkit render "*" --out out {closing}', sys.executable],
        cwd=project.directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_below_stdout_is_told(project: Project) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "toolkit", "--help"],
            cwd=project.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    Failure(code=done.returncode, words=done.stderr).is_told(
        ExitCode.NEED_NOT_MET, "No space left on device", "make clean"
    )


def test_help_needs_no_project_and_names_every_command(tmp_path: Path) -> None:
    done = Project(tmp_path).run("--help")
    assert done.returncode == 0
    for command in ("setup", "doctor", "plan", "render", "build", "release", "verify", "tables", "lock"):
        assert f"\n  {command} " in done.stdout
    assert "Exit codes: 0 done" in done.stdout
