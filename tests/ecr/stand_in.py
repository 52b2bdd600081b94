"""Starts the stand-in of Amazon ECR and stops it again."""

import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from mypy_boto3_ecr import ECRClient

from tests.ecr import control_plane, data_plane
from tests.ecr.hosts import Certificates, make_certificates, names_of_this_machine
from tests.ecr.state import Behaviour, State
from tests.registry_process import free_port, running_registry
from toolkit.regions import ecr_host

_START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """One account of ECR. `behaviour` are its switches, `environment` what its clients need to be told;
    `directory` has all that its registry keeps."""

    state: State
    directory: Path
    certificates: Certificates
    endpoint: str

    @property
    def account(self) -> str:
        return self.state.account

    @property
    def behaviour(self) -> Behaviour:
        return self.state.behaviour

    @property
    def host(self) -> str:
        """Of the first region."""
        return self.host_of(self.state.regions[0])

    def host_of(self, region: str) -> str:
        return ecr_host(self.account, region)

    @property
    def environment(self) -> Mapping[str, str]:
        """For boto3, and for what checks certificates: nothing of this machine's own AWS configuration."""
        names = ",".join([*map(self.host_of, self.state.regions), "127.0.0.1", "localhost"])
        trust = str(self.certificates.bundle)
        return {
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "stand-in",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SSL_CERT_FILE": trust,
            "REQUESTS_CA_BUNDLE": trust,
            "AWS_CA_BUNDLE": trust,
            "NO_PROXY": names,
            "no_proxy": names,
        }

    def api(self, region: str = "") -> ECRClient:
        """boto3 on the control plane, by default of the first region."""
        return boto3.client(
            "ecr",
            region_name=region or self.state.regions[0],
            endpoint_url=self.endpoint,
            aws_access_key_id="x",
            aws_secret_access_key="y",
        )

    def called(self, operation: str) -> list[Mapping[str, object]]:
        """The inputs of every call of this operation so far."""
        return [asked for name, _, asked in self.state.calls if name == operation]


@contextmanager
def running(
    directory: Path, *, regions: tuple[str, ...] = ("us-west-2", "eu-central-1"), account: str = ""
) -> Iterator[StandIn]:
    """An empty ECR that ends with the block, by default of an account that nothing else here has."""
    account = account or "".join(random.choices("123456789", k=12))
    state = State(account=account, regions=regions)
    names = [ecr_host(account, region) for region in regions]
    certificates = make_certificates(directory / "tls", names)
    with ExitStack() as stack:
        home = directory / "registry"
        home.mkdir()
        upstream = stack.enter_context(running_registry(home))
        moto = stack.enter_context(_moto(directory, account))
        address = stack.enter_context(names_of_this_machine(names, certificates.ca))
        stack.enter_context(
            data_plane.serving(state, address=address, upstream=upstream, certificates=certificates)
        )
        endpoint = stack.enter_context(control_plane.serving(state, moto=moto))
        yield StandIn(state=state, directory=directory, certificates=certificates, endpoint=endpoint)


@contextmanager
def _moto(directory: Path, account: str) -> Iterator[str]:
    """moto's server in a process of its own: its state is global."""
    port = free_port()
    log = directory / "moto.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "MOTO_ACCOUNT_ID": account},
            stdout=file,
            stderr=file,
        )
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                opener.open(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise AssertionError(f"moto's server does not start:\n{log.read_text()}")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
