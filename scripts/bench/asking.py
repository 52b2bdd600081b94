"""What one asks the toolkit for in passing: its help, a URI."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.bench.measuring import PROJECT, TOOLKIT, measured, run
from scripts.bench.rows import Contest, Row, Side, at_most, command

_ASKED = ("pytorch", "us-west-2", "1.12.1", "ml.c6g.4xlarge")
_CALLS = """
import sys, time
from {module} import retrieve
framework, region, version, machine = {asked}
started = time.perf_counter()
for _ in range({calls}):
    retrieve(framework, region, version=version, instance_type=machine, image_scope="inference")
sys.stdout.write(str((time.perf_counter() - started) * 10_000 / {calls}))
"""
_SDK = "sagemaker.image_uris.retrieve"


def _uri() -> tuple[str, ...]:
    framework, region, version, machine = _ASKED
    options = ("--version", version, "--instance-type", machine, "--region", region, "--source", "aws")
    return (*TOOLKIT, "uri", framework, *options)


def _sdk_python() -> str:
    run("scripts/venv.sh", ".venv-sdk", "locks/sdk.txt")
    return str(PROJECT / ".venv-sdk" / "bin" / "python")


def _program(module: str, calls: int) -> str:
    return _CALLS.format(module=module, asked=_ASKED, calls=calls)


@contextmanager
def _help() -> Iterator[Contest]:
    yield Contest(
        ours=command(*TOOLKIT, "--help", shown="toolkit --help"),
        theirs=(command("docker", "--help"),),
    )


@contextmanager
def _fresh() -> Iterator[Contest]:
    peer = (_sdk_python(), "-c", _program("sagemaker.image_uris", 1))
    yield Contest(
        ours=command(*_uri(), shown="toolkit uri pytorch …"),
        theirs=(command(*peer, shown=f"python -c 'from {_SDK}' in a fresh process"),),
    )


@contextmanager
def _memory() -> Iterator[Contest]:
    peer = (_sdk_python(), "-c", _program("sagemaker.image_uris", 1))
    yield Contest(
        ours=Side(command="toolkit uri pytorch …", measure=lambda: measured(*_uri()).memory),
        theirs=(Side(command=f"{_SDK} in a fresh process", measure=lambda: measured(*peer).memory),),
    )


@contextmanager
def _calls() -> Iterator[Contest]:
    sdk = _sdk_python()
    ours = (sys.executable, "-c", _program("toolkit.resolve", 20_000))
    peer = (sdk, "-c", _program("sagemaker.image_uris", 40))
    yield Contest(
        ours=Side(command="toolkit.resolve.retrieve", measure=lambda: float(run(*ours))),
        theirs=(Side(command=_SDK, measure=lambda: float(run(*peer).splitlines()[-1])),),
    )


ROWS = (
    Row(name="help", title="toolkit --help", reach=at_most(3), ready=_help, pairs=7),
    Row(name="uri", title="a URI, fresh process", reach=at_most(1 / 8), ready=_fresh),
    Row(name="uri-memory", title="a URI, resident memory", reach=at_most(1 / 4), ready=_memory, unit="MB"),
    Row(name="uri-calls", title="a URI, 10,000 calls in one process", reach=at_most(1 / 8), ready=_calls),
)
