"""What Buildx prints → the stage a build is in, and why it failed. The logs are Buildx 0.13's own."""

from pathlib import Path

import pytest

from tests.projects import ARM64
from toolkit.build import explain_failure, stage_of
from toolkit.errors import BuildFailed, ExitCode

LOG = Path("dist/logs/unit.log")
STEP = "RUN --mount=type=bind,from=uv,target=/opt/uv uv pip install --require-hashes"


def failed_step(*words: str, command: str = STEP, code: int = 2, step: str = "packages 2/2") -> list[str]:
    """The end of a log in which a RUN failed after it said `words`."""
    process = f'process "/bin/sh -c {command}" did not complete successfully: exit code: {code}'
    return [
        "#6 [context debian:bullseye] OCI load from client",
        "#6 DONE 0.1s",
        "",
        f"#9 [{step}] {command}",
        *(f"#9 0.776 {word}" for word in words),
        f"#9 ERROR: {process}",
        "",
        "#7 [stage-1 2/4] COPY serving /opt/serving/serving",
        "#7 CANCELED",
        "------",
        f" > [{step}] {command}:",
        *(f"0.776 {word}" for word in words),
        "------",
        "Dockerfile:3",
        "--------------------",
        f"   3 | >>> {command}",
        "--------------------",
        f"ERROR: failed to solve: {process}",
    ]


def explained(lines: list[str]) -> BuildFailed:
    return explain_failure(ARM64, lines, LOG)


@pytest.mark.parametrize(
    ("words", "meaning", "remedy"),
    [
        (["dd: error writing '/x': No space left on device"], "the disk is full", "make clean"),
        (
            ["error: Failed to download `numpy==1.23.5`", "  cause: Hash mismatch for `numpy==1.23.5`"],
            "a package is not the one that was locked",
            "toolkit lock --upgrade",
        ),
        (
            [
                "error: Failed to fetch: https://mirror.example/simple/numpy/",
                "  cause: invalid peer certificate: UnknownIssuer",
            ],
            "a certificate that the build does not trust",
            "SSL_CERT_FILE=",
        ),
        (
            ["  cause: Failed to fetch: https://mirror.example/simple/numpy/", "  cause: dns error"],
            "a download failed",
            "PIP_INDEX_URL",
        ),
        (
            ["  cause: tcp connect error", "  cause: Connection refused (os error 111)"],
            "a download failed",
            "",
        ),
        (
            ["Because numpy==1.23.5 has no wheels with a matching platform tag, we can conclude that …"],
            "a package has no wheel for this platform",
            "toolkit lock",
        ),
        (
            [
                'runc run failed: unable to start container process: exec: "/bin/sh": stat /bin/sh: '
                "no such file or directory"
            ],
            "the base has no shell",
            "dash",
        ),
        (["/bin/sh: 1: exec: /y: Exec format error"], "a program of another architecture", "make setup"),
    ],
)
def test_a_failing_step_is_told_with_its_last_words_and_the_likely_cause(
    words: list[str], meaning: str, remedy: str
) -> None:
    error = explained(failed_step(*words))
    assert error.message.startswith(
        f"{ARM64} failed to build in step [packages 2/2]: exit code: 2; likely cause: "
    )
    assert meaning in error.message
    assert error.message.endswith("".join(f"\n    | {word}" for word in words))
    assert remedy in error.remedy
    assert error.remedy.endswith(f"\n  The whole log: {LOG}")
    assert error.exit_code is ExitCode.BUILD_FAILED


def test_a_failing_command_of_ones_own_is_told_without_a_guess() -> None:
    error = explained(failed_step("one", "two: gone wrong", command="RUN my-script", code=3, step="2/2"))
    assert error.message == (
        f"{ARM64} failed to build in step [2/2]: exit code: 3\n    | one\n    | two: gone wrong"
    )
    assert "Mend the step" in error.remedy


def test_what_a_command_is_called_is_no_evidence() -> None:
    error = explained(failed_step("gone wrong", command="RUN echo 'no space left on device'; false"))
    assert "likely cause" not in error.message


def test_the_words_of_other_steps_are_no_evidence() -> None:
    lines = ["#8 [1/3] RUN something", "#8 0.1 warning: exec format error", *failed_step("gone wrong")]
    error = explained(lines)
    assert "likely cause" not in error.message
    assert "exec format" not in error.message


def test_of_many_words_the_last_are_told() -> None:
    error = explained(failed_step(*(f"line {number}" for number in range(50)), "", "   "))
    assert error.message.splitlines()[1:] == [f"    | line {number}" for number in range(42, 50)]


def test_an_exporter_without_disk_is_told_though_no_step_failed() -> None:
    error = explained(
        [
            "#15 exporting to oci image format",
            "#15 ERROR: failed to copy: write /var/lib/x/ingest/data: no space left on device",
            "------",
            " > exporting to oci image format:",
            "------",
            "ERROR: failed to solve: failed to copy: write /var/lib/x/ingest/data: no space left on device",
        ]
    )
    assert error.message == (
        f"{ARM64} failed to build: failed to copy: write /var/lib/x/ingest/data: no space left on device; "
        "likely cause: the disk is full"
    )


def test_a_base_that_cannot_be_fetched_names_it() -> None:
    head = 'failed to do request: Head "https://mirror.example/v2/debian/manifests/11": no such host'
    error = explained(
        [
            "#2 [internal] load metadata for mirror.example/debian:11",
            f"#2 ERROR: {head}",
            "------",
            " > [internal] load metadata for mirror.example/debian:11:",
            "------",
            "ERROR: failed to solve: mirror.example/debian:11: failed to resolve source metadata for "
            f"mirror.example/debian:11: {head}",
        ]
    )
    assert "mirror.example/debian:11" in error.message
    assert "likely cause: the base image cannot be read from its registry" in error.message
    assert "images.toml" in error.remedy


def test_a_base_of_which_the_engine_has_kept_a_part_is_told_with_the_line_that_completes_it() -> None:
    """As Buildx said it after another build was cancelled while it copied the base."""
    words = [
        "#12 [stage-1 1/4] COPY --from=packages /opt/packages /usr/local/lib/python3.13/dist-packages",
        "#12 ERROR: failed to copy: unsupported offset",
        "ERROR: failed to solve: failed to compute cache key: failed to copy: unsupported offset",
    ]
    error = explained(words)
    assert "likely cause: an earlier build was cut off" in error.message
    assert "ctr -n moby content ingest" in error.remedy


def test_a_dockerfile_that_cannot_be_parsed_says_where() -> None:
    error = explained(
        [
            "#1 DONE 0.0s",
            "ERROR: failed to solve: dockerfile parse error on line 2: unknown instruction: RUN_",
        ]
    )
    assert error.message == (
        f"{ARM64} failed to build: dockerfile parse error on line 2: unknown instruction: RUN_"
    )


@pytest.mark.parametrize("lines", [[], ["#1 DONE 0.0s"], ["", "garbage"]])
def test_a_builder_that_dies_in_silence_is_told_as_that(lines: list[str]) -> None:
    error = explained(lines)
    assert error.message == f"{ARM64} failed to build: the builder ended without a word"
    assert str(LOG) in error.remedy


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        (f"#9 [packages 2/2] {STEP}", "packages 2/2 RUN uv pip install --require-hashes"),
        (
            "#9 [packages 1/2] RUN --mount=a if [ -s /x ]; then export A=/x; fi;     /opt/uv pip install",
            "packages 1/2 RUN /opt/uv pip install",
        ),
        (
            "#9 [packages 1/2] RUN --mount=a if [ -s /x ]; then export A=/x; fi;     "
            """made="$(mktemp -d /c/.made-XX)" && trap 'rm -rf "$made"' EXIT &&     /opt/uv pip install""",
            "packages 1/2 RUN /opt/uv pip install",
        ),
        ("#7 [stage-1 3/4] COPY --chmod=0755 serve /bin/serve", "stage-1 3/4 COPY serve /bin/serve"),
        ("#4 [context debian:bullseye] OCI load from client", None),
        ("#15 exporting layers", "exporting layers"),
        (f"#15 exporting manifest sha256:{'0' * 64}", "exporting manifest"),
        ("#15 sending tarball", "sending tarball"),
        ("#1 [internal] load build definition from Dockerfile", None),
        ("#9 0.776 downloading", None),
        ("#9 DONE 0.1s", None),
        ("------", None),
        ("", None),
    ],
)
def test_a_line_tells_the_stage_or_nothing(line: str, stage: str | None) -> None:
    assert stage_of(line) == stage


def test_a_stage_fits_on_a_line() -> None:
    stage = stage_of(f"#9 [1/1] RUN {'x' * 500}")
    assert stage is not None
    assert len(stage) == 60
