"""Tokens of Amazon ECR with a registry over HTTP: renewed when they end, and after ECR's own refusal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.test_registry_login import FOUND, basic, found
from tests.http_server import Received, Reply, Server, serving
from toolkit.adapters.registry import HttpRegistry
from toolkit.adapters.registry_credentials import Credential
from toolkit.errors import RegistryTrouble

TOLD = "Your authorization token has expired. Reauthenticate and try again."
EXPIRED = json.dumps({"errors": [{"code": "DENIED", "message": TOLD}]}).encode()


class Tokens:
    """Gives the next token when the last one was refused or has ended."""

    def __init__(self, *, lives: float = float("inf")) -> None:
        self.given = 0
        self.lives = lives

    def lookup_credential(self, host: str, *, refused: str | None = None) -> Credential | None:
        self.given += 1
        return Credential(username="AWS", secret=f"token-{self.given}", until=self.lives)


@contextmanager
def ecr(good: set[str]) -> Iterator[Server]:
    """Takes the tokens that are in `good`; others are told as ECR tells that a token has ended."""

    def answer(request: Received) -> Reply:
        if request.authorization is None:
            return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="ecr"'})
        if request.authorization not in {basic("AWS", token) for token in good}:
            return Reply(status=403, headers={"Content-Type": "application/json"}, body=EXPIRED)
        return found()

    with serving(answer) as server:
        yield server


def test_a_token_that_ends_while_a_release_goes_on_is_replaced() -> None:
    good = {"token-1"}
    with ecr(good) as server:
        registry = connect(server, Tokens())
        assert registry.lookup_descriptor("repo", "one") == FOUND
        good.clear()
        good.add("token-2")
        assert registry.lookup_descriptor("repo", "one") == FOUND
        registry.close()
    sent = [request.authorization for request in server.requests]
    assert sent == [None, basic("AWS", "token-1"), basic("AWS", "token-1"), basic("AWS", "token-2")]


def test_a_token_that_is_about_to_end_is_replaced_before_it_is_refused() -> None:
    with ecr({"token-1", "token-2", "token-3"}) as server:
        registry = connect(server, Tokens(lives=0.0))
        for _ in range(2):
            assert registry.lookup_descriptor("repo", "one") == FOUND
        registry.close()
    assert [request.authorization for request in server.requests[1:]] == [
        basic("AWS", "token-1"),
        basic("AWS", "token-2"),
    ]


def test_a_token_that_is_refused_again_is_an_error_without_the_token() -> None:
    with ecr(set()) as server:
        registry = connect(server, Tokens())
        with pytest.raises(RegistryTrouble, match="Your authorization token has expired") as caught:
            registry.lookup_manifest("repo", "one")
        registry.close()
    assert "token-" not in str(caught.value)
    assert len(server.requests) == 2


def connect(server: Server, tokens: Tokens) -> HttpRegistry:
    return HttpRegistry(server.host, docker_config=Path("/nonexistent"), credentials=tokens)
