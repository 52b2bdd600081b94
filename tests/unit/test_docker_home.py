"""The DOCKER_CONFIG of a run: docker's own, with tokens, for this user alone, and gone at the end."""

import json
from pathlib import Path

import pytest

from toolkit.adapters.docker_home import docker_home
from toolkit.adapters.registry_credentials import Credential, CredentialTrouble

HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


class Numbered:
    """A new token at each look."""

    def __init__(self) -> None:
        self.looks = 0
        self.trouble = False

    def lookup_credential(self, host: str, *, refused: str | None = None) -> Credential | None:
        self.looks += 1
        if self.trouble:
            raise CredentialTrouble("no token")
        return Credential(username="AWS", secret=f"{self.looks}")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "docker"
    (directory / "cli-plugins").mkdir(parents=True)
    (directory / "config.json").write_text(
        json.dumps({"credsStore": "desktop", "currentContext": "far", "auths": {"ghcr.io": {"auth": "eDp5"}}})
    )
    return directory


def test_it_has_what_docker_has_and_the_tokens_before_the_store(source: Path, tmp_path: Path) -> None:
    with docker_home(source, tmp_path / "homes", hosts=[HOST], credentials=Numbered()) as home:
        directory = home()
        config = json.loads((directory / "config.json").read_text())
        assert config["credsStore"] == "desktop"
        assert config["currentContext"] == "far"
        assert config["auths"] == {"ghcr.io": {"auth": "eDp5"}, HOST: {"auth": "QVdTOjE="}}
        # Docker asks the store for every host that has no helper of its own, and "" is none.
        assert config["credHelpers"] == {HOST: ""}
        assert (directory / "cli-plugins").samefile(source / "cli-plugins")
        assert (directory.stat().st_mode & 0o777, (directory / "config.json").stat().st_mode & 0o777) == (
            0o700,
            0o600,
        )


def test_it_comes_with_the_first_client_has_fresh_tokens_and_goes_at_the_end(
    source: Path, tmp_path: Path
) -> None:
    homes = tmp_path / "homes"
    with docker_home(source, homes, hosts=[HOST], credentials=Numbered()) as home:
        assert not homes.exists()
        first = home()
        second = home()
        assert first == second
        assert json.loads((second / "config.json").read_text())["auths"][HOST] == {"auth": "QVdTOjI="}
    assert not list(homes.iterdir())
    assert (source / "config.json").exists()
    assert (source / "cli-plugins").is_dir()


def test_it_goes_when_the_run_is_interrupted(source: Path, tmp_path: Path) -> None:
    def interrupted() -> None:
        with docker_home(source, tmp_path / "homes", hosts=[HOST], credentials=Numbered()) as home:
            home()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list((tmp_path / "homes").iterdir())


def test_the_home_of_a_run_that_goes_on_is_left_alone(source: Path, tmp_path: Path) -> None:
    homes = tmp_path / "homes"
    with docker_home(source, homes, hosts=[HOST], credentials=Numbered()) as first:
        kept = first()
        (homes / "run-killed").mkdir()
        (homes / "run-killed" / ".lock").touch()
        with docker_home(source, homes, hosts=[HOST], credentials=Numbered()) as second:
            second()
            assert kept.exists()
            assert not (homes / "run-killed").exists()


def test_without_a_token_docker_goes_on_with_what_it_has(source: Path, tmp_path: Path) -> None:
    nobody = Numbered()
    nobody.trouble = True
    with docker_home(source, tmp_path / "homes", hosts=[HOST], credentials=nobody) as home:
        config = json.loads((home() / "config.json").read_text())
    assert config == json.loads((source / "config.json").read_text())
