"""Connections that commands ask for: registries, AWS's services. No more is loaded than they take."""

from typing import TYPE_CHECKING

from toolkit.cli.credentials import credentials_of
from toolkit.cli.settings import Settings
from toolkit.progress import Event, Kind, Reporter
from toolkit.publish import Registry

if TYPE_CHECKING:
    from toolkit.adapters.aws import Aws
    from toolkit.adapters.retry import Budget
    from toolkit.deployers.sagemaker_checks import Cloud
    from toolkit.verify import ImageSource


def registry_at(
    settings: Settings, host: str, report: Reporter | None = None, budget: "Budget | None" = None
) -> Registry:
    """A registry over HTTP that retries what heals, and says so to `report`; `budget` is how long."""
    from toolkit.adapters.registry import HttpRegistry
    from toolkit.adapters.registry_errors import is_loopback
    from toolkit.adapters.retry import Budget, Retry, RetryingRegistry

    def tell(retry: Retry) -> None:
        if report:
            when = f"trying again in {retry.wait:.1f} s ({retry.attempt} of {retry.of})"
            report(Event(kind=Kind.WARNING, subject=host, text=f"{retry.error.message}; {when}"))

    registry = HttpRegistry(
        host,
        docker_config=settings.docker_config,
        ca_bundle=settings.ca_bundle,
        credentials=credentials_of(settings, host),
    )
    # What does not answer on this machine is not there: a restart takes a moment, not a minute.
    usual = Budget(absent=5) if is_loopback(host.rsplit(":", 1)[0]) else Budget()
    return RetryingRegistry(registry, budget=budget or usual, on_retry=tell)


def images_of(registry: Registry, repository: str) -> "ImageSource":
    from toolkit.adapters.registry import RegistryImages

    return RegistryImages(registry, repository)


def aws(settings: Settings, region: str, *, timeout: float = 60) -> "Aws":
    """AWS's services with the credentials that boto3 finds; none are looked for before the first call."""
    from toolkit.adapters.aws import Aws

    return Aws(region, ca_bundle=settings.ca_bundle, timeout=timeout)


def cloud(services: "Aws") -> "Cloud":
    """What is looked at in AWS before anything is sent there."""
    from toolkit.adapters.sagemaker import AwsCloud

    return AwsCloud(services)
