"""The executor keeps CodeBuild's rules: what the end-to-end test runs on is what would run there."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkouts import commit
from tests.codebuild.batch import BatchRun, Ended
from tests.codebuild.buildspec import BuildspecInvalid, Node, parse_buildspec, read_buildspec
from tests.codebuild.executor import Build, Machine, Result
from tests.projects import ROOT

Run = Callable[..., Result]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with one file."""
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("committed\n")
    commit(directory)
    return directory


@pytest.fixture
def run(source: Path, tmp_path: Path) -> Run:
    """Runs a buildspec given by its text, in a new directory each time."""
    homes = iter(range(100))

    def run(text: str, *, cache: Path | None = None, **variables: str) -> Result:
        return Build(
            spec=parse_buildspec(f"version: 0.2\n{text}"),
            source=source,
            home=tmp_path / f"build-{next(homes)}",
            machine=Machine(environment={"IMAGE_SAYS": "image", "BOTH": "image"}, cache=cache),
            variables=variables,
        ).run()

    return run


def said(result: Result) -> list[str]:
    """What commands printed, without what the executor says of them."""
    lines = result.log.read_text().splitlines()
    return [line for line in lines if not line.startswith("[Container]")]


def phases(*, failing: str = "", extra: str = "") -> str:
    """Four phases that say their names; `failing` fails before it has said it, `extra` is a line of it."""
    text = "phases:\n"
    for name in ("install", "pre_build", "build", "post_build"):
        fail = "      - 'false'\n" if name == failing else ""
        more = f"    {extra}\n" if name == failing and extra else ""
        text += f"  {name}:\n{more}    commands:\n{fail}      - echo {name}\n"
    return text


# --- phases


def test_phases_run_in_their_order_whatever_order_they_are_written_in(run: Run) -> None:
    result = run("phases: {post_build: {commands: [echo 2]}, install: {commands: [echo 1]}}")
    assert said(result) == ["1", "2"]
    assert result.succeeded


@pytest.mark.parametrize(
    ("failing", "after"),
    [
        ("install", []),
        ("pre_build", ["install"]),
        ("build", ["install", "pre_build", "post_build"]),
        ("post_build", ["install", "pre_build", "build"]),
    ],
)
def test_what_runs_when_a_phase_fails(run: Run, failing: str, after: list[str]) -> None:
    result = run(phases(failing=failing))
    assert said(result) == after
    assert not result.succeeded
    assert result.phases[failing] is False


def test_abort_ends_a_build_before_post_build(run: Run) -> None:
    result = run(phases(failing="build", extra="on-failure: ABORT"))
    assert said(result) == ["install", "pre_build"]


def test_continue_goes_on_with_the_next_phase_and_the_build_has_failed(run: Run) -> None:
    result = run(phases(failing="install", extra="on-failure: CONTINUE"))
    assert said(result) == ["pre_build", "build", "post_build"]
    assert not result.succeeded


def test_finally_is_run_to_its_end_after_a_command_that_fails(run: Run) -> None:
    result = run("phases: {build: {commands: ['false', echo no], finally: [echo a, echo b]}}")
    assert said(result) == ["a", "b"]
    assert not result.succeeded


def test_a_finally_that_fails_fails_its_phase(run: Run) -> None:
    result = run("phases: {install: {commands: [echo a], finally: ['false']}, build: {commands: [echo b]}}")
    assert said(result) == ["a"]
    assert not result.succeeded


def test_whether_the_build_succeeds_so_far_is_told(run: Run) -> None:
    tell = "echo $CODEBUILD_BUILD_SUCCEEDING"
    result = run(
        f"phases: {{pre_build: {{commands: [{tell}]}}, "
        f"build: {{commands: ['false'], finally: [{tell}]}}, post_build: {{commands: [{tell}]}}}}"
    )
    assert said(result) == ["1", "0", "0"]


# --- commands and their environment


def test_commands_share_variables_and_directory_across_phases(run: Run) -> None:
    result = run(
        "phases: {install: {commands: ['export A=\"b c\"', 'mkdir x && cd x']}, "
        "build: {commands: ['echo $A $(basename $PWD)']}}"
    )
    assert said(result) == ["b c x"]


def test_a_command_that_exits_ends_only_itself(run: Run) -> None:
    result = run("phases: {install: {commands: [exit 0, echo on]}, build: {commands: [exit 3]}}")
    assert said(result) == ["on"]
    assert result.phases["build"] is False


def test_of_a_variable_in_several_places_the_nearest_to_the_start_counts(run: Run) -> None:
    text = "env: {variables: {A: spec, BOTH: spec}}\nphases: {build: {commands: [echo $A $BOTH $IMAGE_SAYS]}}"
    assert said(run(text)) == ["spec spec image"]
    assert said(run(text, A="start")) == ["start spec image"]


def test_variables_of_codebuild_are_there(run: Run, source: Path) -> None:
    result = run(
        'phases: {build: {commands: [\'test "$PWD" = "$CODEBUILD_SRC_DIR"\', '
        "'git rev-parse HEAD', 'echo $CODEBUILD_RESOLVED_SOURCE_VERSION', 'echo $AWS_REGION', "
        "'echo [$CODEBUILD_BATCH_BUILD_IDENTIFIER]']}}"
    )
    head, version, region, batch = said(result)
    assert head == version
    assert (region, batch) == ("us-west-2", "[]")


def test_exported_variables_are_those_at_the_end(run: Run) -> None:
    result = run(
        "env: {variables: {A: a}, exported-variables: [A, B]}\n"
        "phases: {build: {commands: ['export A=b B=\"c d\"']}}"
    )
    assert result.exported == {"A": "b", "B": "c d"}


def test_each_build_has_a_clean_checkout_of_what_was_committed(run: Run, source: Path) -> None:
    (source / "untracked").touch()
    text = "phases: {build: {commands: [cat file, ls, rm file]}}"
    assert said(run(text)) == said(run(text)) == ["committed", "file"]


# --- artifacts and cache


def test_artifacts_keep_their_paths_below_the_base(run: Run) -> None:
    make = "mkdir -p d/e && echo 1 >d/a.json && echo 2 >d/e/b.json && echo 3 >d/c.txt"
    result = run(
        f"phases: {{build: {{commands: ['{make}']}}}}\nartifacts: {{base-directory: d, files: ['**/*.json']}}"
    )
    found = {str(path.relative_to(result.artifacts)) for path in result.artifacts.rglob("*.json")}
    assert found == {"a.json", "e/b.json"}


def test_paths_of_artifacts_may_be_discarded(run: Run) -> None:
    result = run(
        "phases: {build: {commands: ['mkdir -p d/e && echo 2 >d/e/b']}}\n"
        "artifacts: {discard-paths: yes, files: ['d/**/*']}"
    )
    assert [path.name for path in result.artifacts.iterdir()] == ["b"]


def test_secondary_artifacts_are_kept_apart(run: Run) -> None:
    result = run(
        "phases: {build: {commands: ['touch one two']}}\n"
        "artifacts: {secondary-artifacts: {first: {files: [one]}, second: {files: [two]}}}"
    )
    assert (result.artifacts / "first" / "one").exists()
    assert [path.name for path in (result.artifacts / "second").iterdir()] == ["two"]


def test_artifacts_are_uploaded_although_the_build_failed(run: Run) -> None:
    result = run("phases: {build: {commands: ['echo x >log; false']}}\nartifacts: {files: [log]}")
    assert (result.artifacts / "log").read_text() == "x\n"
    assert result.phases["upload_artifacts"]
    assert not result.succeeded


def test_a_build_whose_artifacts_match_nothing_has_failed(run: Run) -> None:
    result = run("phases: {build: {commands: ['true']}}\nartifacts: {files: ['dist/*.json']}")
    assert result.phases == {
        "install": True,
        "pre_build": True,
        "build": True,
        "post_build": True,
        "upload_artifacts": False,
    }


def test_a_cache_brings_what_the_last_build_left_and_nothing_else(run: Run, tmp_path: Path) -> None:
    text = (
        "phases: {build: {commands: ['ls -A', 'mkdir -p .cache/a', 'touch .cache/a/b other']}}\n"
        "cache: {paths: ['.cache/**/*']}"
    )
    cache = tmp_path / "cache"
    assert said(run(text, cache=cache)) == [".git", "file"]
    assert said(run(text, cache=cache)) == [".cache", ".git", "file"]
    assert (cache / ".cache" / "a" / "b").exists()
    assert not (cache / "other").exists()


# --- what CodeBuild refuses


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 0.1\nphases: {}", "version 0.1 is not 0.2"),
        ("version: 0.2", "neither phases nor a batch"),
        ("version: 0.2\nphases: {deploy: {commands: [x]}}", "deploy is not one of install"),
        ("version: 0.2\nphases: {build: {command: [x]}}", "command is not one of commands"),
        ("version: 0.2\nphases: {build: {commands: []}}", "a phase has no commands"),
        ("version: 0.2\nphases: {build: {commands: [{echo: x}]}}", "is not a command: quote it"),
        ("version: 0.2\nphases: {build: {commands: [x], on-failure: IGNORE}}", "on-failure"),
        ("version: 0.2\nenv: {variables: {CODEBUILD_X: y}}\nphases: {}", "CodeBuild's own"),
        ("version: 0.2\nphases: [", "it is no YAML"),
        ("version: 0.2\nphases: {}\nartifacts: {name: x}", "name is not one of files"),
        ("version: 0.2\nbatch: {build-graph: [{identifier: a-b}]}", "'a-b' is not an identifier"),
        ("version: 0.2\nbatch: {build-graph: [{identifier: a}, {identifier: a}]}", "two builds are called a"),
        (
            "version: 0.2\nbatch: {build-graph: [{identifier: a, depend-on: [b]}]}",
            "a depends on b, which is no build",
        ),
        (
            "version: 0.2\nbatch: {build-graph: [{identifier: a, depend-on: [b]}, "
            "{identifier: b, depend-on: [a]}]}",
            "a, b wait for each other",
        ),
    ],
)
def test_a_buildspec_that_codebuild_would_refuse_is_refused(text: str, words: str) -> None:
    with pytest.raises(BuildspecInvalid, match=r".*") as caught:
        parse_buildspec(text)
    assert words in str(caught.value)


# --- batches


@pytest.fixture
def batch(source: Path, tmp_path: Path) -> Callable[[str], Ended]:
    """Runs a batch whose builds run the command in their variable DO."""
    (source / "do.yml").write_text('version: 0.2\nphases: {build: {commands: [eval "$DO"]}}\n')
    commit(source)

    def run(graph: str, *, fast_fail: bool = False) -> Ended:
        text = f"version: 0.2\nbatch: {{fast-fail: {str(fast_fail).lower()}, build-graph: [{graph}]}}"
        return BatchRun(
            spec=parse_buildspec(text),
            source=source,
            home=tmp_path / "batch",
            machine=lambda node: Machine(environment={"TYPE": node.type}),
            variables={"SHARED": str(tmp_path)},
        ).run()

    return run


def node(name: str, do: str, *, after: str = "", more: str = "") -> str:
    return (
        f"{{identifier: {name}, buildspec: do.yml, depend-on: [{after}], "
        f"env: {{type: {name.upper()}, variables: {{DO: '{do}'}}}}{more}}}"
    )


def test_a_build_waits_for_those_it_depends_on(batch: Callable[[str], Ended]) -> None:
    ended = batch(
        ", ".join(
            [
                node("last", "cat $SHARED/first $SHARED/second", after="first, second"),
                node("first", "echo 1 >$SHARED/first"),
                node("second", "echo 2 >$SHARED/second", after="first"),
            ]
        )
    )
    assert ended.succeeded
    assert said(ended.results["last"]) == ["1", "2"]


def test_nothing_that_a_build_leaves_is_there_for_the_next(batch: Callable[[str], Ended]) -> None:
    ended = batch(f"{node('first', 'touch left')}, {node('second', 'ls', after='first')}")
    assert said(ended.results["second"]) == ["do.yml", "file"]


def test_each_build_knows_its_name_and_machine(batch: Callable[[str], Ended]) -> None:
    ended = batch(node("one", "echo $CODEBUILD_BATCH_BUILD_IDENTIFIER $TYPE"))
    assert said(ended.results["one"]) == ["one ONE"]


def test_what_waits_for_a_failed_build_is_not_run_and_the_rest_is(batch: Callable[[str], Ended]) -> None:
    ended = batch(
        f"{node('bad', 'false')}, {node('after', 'true', after='bad')}, {node('other', 'true')}, "
        f"{node('later', 'true', after='other')}"
    )
    assert set(ended.results) == {"bad", "other", "later"}
    assert not ended.succeeded


def test_a_failure_that_may_be_stops_nothing(batch: Callable[[str], Ended]) -> None:
    ended = batch(
        f"{node('bad', 'false', more=', ignore-failure: true')}, {node('after', 'true', after='bad')}"
    )
    assert set(ended.results) == {"bad", "after"}
    assert ended.succeeded


def test_fast_fail_begins_nothing_after_a_failure(batch: Callable[..., Ended]) -> None:
    ended = batch(
        f"{node('bad', 'false')}, {node('slow', 'sleep 2')}, {node('later', 'true', after='slow')}",
        fast_fail=True,
    )
    assert "later" not in ended.results
    assert not ended.succeeded


# --- the project's own


@pytest.mark.parametrize("path", sorted((ROOT / "buildspecs").glob("*.yml")), ids=lambda path: path.name)
def test_the_buildspecs_of_this_repository_have_no_logic(path: Path) -> None:
    spec = read_buildspec(path)
    commands = [command for phase in spec.phases.values() for command in (*phase.commands, *phase.always)]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        words = shlex.split(command)
        assert words[0] in ("make", "aws")
        assert words[0] == "aws" or words[1] in targets
        assert not set(";&|<>`(") & set(command), command


def test_the_executor_knows_a_batch_of_the_toolkit(tmp_path: Path) -> None:
    from toolkit.codebuild.buildspec import Build as Written
    from toolkit.codebuild.buildspec import buildspec

    written = Written(
        identifier="unit",
        buildspec="buildspecs/build.yml",
        type="ARM_CONTAINER",
        compute_type="BUILD_GENERAL1_SMALL",
        privileged=True,
        variables={"IMAGES": "unit"},
        ignore_failure=True,
    )
    batch = parse_buildspec(buildspec([written])).batch
    assert batch
    assert batch.nodes == (
        Node(
            identifier="unit",
            buildspec="buildspecs/build.yml",
            type="ARM_CONTAINER",
            compute_type="BUILD_GENERAL1_SMALL",
            privileged=True,
            variables={"IMAGES": "unit"},
            ignore_failure=True,
        ),
    )
