"""From requests to an endpoint that serves: what is to be sent follows from what is there, and what was
made is removed when it does not come up."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from toolkit.deployers.calls import Call
from toolkit.deployers.sagemaker import (
    Deployment,
    Requests,
    create_endpoint,
    move_traffic,
    removal,
    requests,
    update_endpoint,
)
from toolkit.deployers.waiting import pauses
from toolkit.errors import DeploymentFailed, DeploymentRefused, ToolkitError
from toolkit.progress import Event, Kind, Reporter


@dataclass(frozen=True, kw_only=True)
class LiveVariant:
    """One variant as it runs. `state` is what SageMaker says it is doing, "" when it only serves."""

    name: str
    weight: float
    count: int
    state: str = ""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint that is there. `configured` are the variants of its configuration as the API gives them,
    `settings` the names of what else that configuration has (DataCaptureConfig …)."""

    arn: str
    status: str
    config: str
    reason: str = ""
    variants: tuple[LiveVariant, ...] = ()
    configured: tuple[Mapping[str, Any], ...] = ()
    settings: tuple[str, ...] = ()


class Endpoints(Protocol):
    """SageMaker, as far as endpoints need it. Every method raises DeploymentFailed for what AWS refuses."""

    def lookup_endpoint(self, name: str) -> Endpoint | None: ...

    def is_there(self, call: Call) -> bool:
        """Whether the model, configuration or object that `call` would make is there already."""
        ...

    def send(self, call: Call) -> None: ...

    def last_log_lines(self, endpoint: str, count: int) -> tuple[str, ...]:
        """The newest lines that its containers wrote, oldest first; empty when there are none."""
        ...

    def pause(self, seconds: float) -> None: ...


# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
_IN_SERVICE = "InService"
_MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
_POLL = 10.0
_LOG_LINES = 20


def final_call(deployment: Deployment, wanted: Requests, found: Endpoint | None) -> Call | None:
    """What brings the endpoint to where it is wanted once models and configuration are there.

    None when it is there, or on its way. Raises DeploymentRefused when it can take no update.
    """
    config = wanted.config["EndpointConfigName"]
    if found is None:
        return create_endpoint(deployment, config)
    if found.config == config and found.status in _MOVING:
        return None
    if found.status != _IN_SERVICE:
        raise _not_now(deployment.name, found)
    if _identity(found.configured) != _identity(wanted.config["ProductionVariants"]):
        return update_endpoint(deployment, config)
    return move_traffic(deployment) if _is_moved(deployment, found) else None


def _identity(variants: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, ...]]:
    """What makes a variant another one; models are named after their content."""
    names = ("VariantName", "ModelName", "InstanceType", "AcceleratorType")
    return frozenset(tuple(str(each.get(name, "")) for name in names) for each in variants)


def _is_moved(deployment: Deployment, found: Endpoint) -> bool:
    """Whether weights or, where they were given, counts differ from what is running."""
    wanted = {each.name: (each.weight, deployment.count) for each in deployment.variants}
    return any(
        (each.weight, each.count if deployment.count else None) != wanted[each.name]
        for each in found.variants
    )


def _not_now(name: str, found: Endpoint) -> DeploymentRefused:
    if found.status in _MOVING:
        return DeploymentRefused(
            f"endpoint {name} is {found.status} to configuration {found.config}",
            remedy="Wait until it is InService, then run this again.",
        )
    reason = f": {found.reason}" if found.reason else ""
    return DeploymentRefused(
        f"endpoint {name} is {found.status}{reason}, and takes no update",
        remedy=f"Nothing here deletes an endpoint that it did not make. If nobody needs it: aws sagemaker "
        f"delete-endpoint --endpoint-name {name}",
    )


def roll_out(
    deployment: Deployment,
    uploads: Sequence[Call],
    service: Endpoints,
    report: Reporter,
    *,
    patience: float,
    clock: Callable[[], float] = time.monotonic,
) -> Endpoint:
    """Send what is missing and wait until the endpoint serves; `patience` is in seconds.

    Raises DeploymentRefused before anything is sent, and DeploymentFailed with SageMaker's reason and the
    last log lines; then the models, the configuration and the endpoint that this call made are gone again.
    """
    wanted = requests(deployment)
    found = service.lookup_endpoint(deployment.name)
    last = final_call(deployment, wanted, found)
    is_new_config = last is not None and last.operation in ("CreateEndpoint", "UpdateEndpoint")
    if found and is_new_config and found.settings:
        text = f"its configuration {found.config} has {', '.join(found.settings)}, which the new one has not"
        report(Event(kind=Kind.WARNING, subject=deployment.name, text=text))
    made: list[Call] = []
    try:
        for call in (*uploads, *wanted.preparation) if is_new_config else ():
            if not service.is_there(call):
                _send(call, deployment, service, report)
                made.append(call)
        if last:
            _send(last, deployment, service, report)
            made.append(last)
    except ToolkitError as error:
        _add_removal(error, deployment, made, service, report)
        raise
    watch = _Watch(deployment=deployment, service=service, report=report, patience=patience, clock=clock)
    arrived, elapsed = watch.until_settled()
    config = wanted.config["EndpointConfigName"] if is_new_config or found is None else found.config
    if arrived.status == _IN_SERVICE and arrived.config == config:
        report(Event(kind=Kind.FINISHED, subject=deployment.name, text=arrived.arn, elapsed=elapsed))
        return arrived
    failure = _failure(deployment.name, arrived, service)
    # A configuration that the endpoint still names is in use, whatever state the endpoint is in.
    if found is None or arrived.config != config:
        _add_removal(failure, deployment, made, service, report)
    raise failure


def _send(call: Call, deployment: Deployment, service: Endpoints, report: Reporter) -> None:
    report(Event(kind=Kind.STAGE, subject=deployment.name, text=_words(call)))
    service.send(call)


def _words(call: Call) -> str:
    """`CreateModel demo-1a2b3c4d`"""
    names = ("ModelName", "EndpointName", "EndpointConfigName", "Key")
    return f"{call.operation} {next((call.request[name] for name in names if name in call.request), '')}"


@dataclass(frozen=True, kw_only=True)
class _Watch:
    deployment: Deployment
    service: Endpoints
    report: Reporter
    patience: float
    clock: Callable[[], float]

    def until_settled(self) -> tuple[Endpoint, float]:
        """The endpoint once SageMaker has ended its work on it, and the seconds that took.

        Raises DeploymentFailed when it takes too long or is gone; nothing is removed then.
        """
        name, started, said = self.deployment.name, self.clock(), ""
        waits = pauses(_POLL)
        while True:
            found = self.service.lookup_endpoint(name)
            elapsed = self.clock() - started
            if found is None:
                raise DeploymentFailed(f"endpoint {name} is gone: someone has deleted it")
            if found.status not in _MOVING:
                return found, elapsed
            if (words := _progress(found)) != said:
                said = words
                self.report(Event(kind=Kind.STAGE, subject=name, text=said, elapsed=elapsed))
            if elapsed > self.patience:
                raise DeploymentFailed(
                    f"endpoint {name} is still {found.status} after {elapsed:.0f} s; nothing was removed",
                    remedy="Run this again to follow it further.",
                )
            self.service.pause(next(waits))


def _failure(name: str, arrived: Endpoint, service: Endpoints) -> DeploymentFailed:
    """With SageMaker's reason and what the containers said last."""
    lines = service.last_log_lines(name, _LOG_LINES)
    group = f"/aws/sagemaker/Endpoints/{name}"
    log = [f"  the last lines of {group}:", *(f"    {line}" for line in lines)] if lines else []
    is_back = arrived.status == _IN_SERVICE
    state = f"was rolled back to {arrived.config}" if is_back else f"is {arrived.status}"
    reason = arrived.reason or "SageMaker gives no reason"
    return DeploymentFailed(
        "\n".join((f"endpoint {name} {state}: {reason}", *log)),
        remedy="" if lines else f"Its containers wrote no log to {group}.",
    )


def _progress(found: Endpoint) -> str:
    variants = ", ".join(
        f"{each.name}: {f'{each.state}, ' if each.state else ''}{each.count} running"
        for each in found.variants
    )
    return f"{found.status}{f' ({variants})' if variants else ''}"


# Not removed again: an upload is named after its content and may be someone else's too.
_REMOVED = {"CreateEndpoint": 0, "CreateEndpointConfig": 1, "CreateModel": 2}


def _add_removal(
    error: ToolkitError, deployment: Deployment, made: Sequence[Call], service: Endpoints, report: Reporter
) -> None:
    """Take back what was made, the endpoint first; the error then says what was and what could not be."""
    gone, left = [], []
    creations = sorted(
        (call for call in made if call.operation in _REMOVED), key=lambda call: _REMOVED[call.operation]
    )
    for call in creations:
        undo = removal(call)
        try:
            _send(undo, deployment, service, report)
            if call.operation == "CreateEndpoint":
                _wait_until_gone(deployment.name, service)
            gone.append(_words(undo))
        except ToolkitError as failure:
            left.append(f"{_words(undo)} failed: {failure.message}")
    said = f"Removed what was made: {', '.join(gone)}." if gone else ""
    error.remedy = "\n  ".join(filter(None, (error.remedy, said, *left)))


def _wait_until_gone(name: str, service: Endpoints) -> None:
    """SageMaker keeps the configuration of an endpoint in use: it goes after the endpoint."""
    for seconds in itertools.islice(pauses(_POLL), 60):
        if service.lookup_endpoint(name) is None:
            return
        service.pause(seconds)
    raise DeploymentFailed(f"endpoint {name} is still there", remedy="Look at it in the console.")
