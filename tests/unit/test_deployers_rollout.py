"""From requests to an endpoint that serves, and back when it does not."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.deployments import AMD64, deployment, variant
from toolkit.deployers.calls import Call
from toolkit.deployers.rollout import Endpoint, LiveVariant, roll_out
from toolkit.deployers.sagemaker import Deployment, requests
from toolkit.errors import DeploymentFailed, DeploymentRefused
from toolkit.progress import Event, Kind

SPLIT = (variant("ml.c5.xlarge", 90, AMD64), variant("ml.c7g.xlarge", 10))
LOG = ("loading the model", "MemoryError")


class SageMaker:
    """A small SageMaker in memory, with a clock that only its own pauses move.

    `fails` maps an operation to what AWS says of it; `ends` is how a fleet that is started ends.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.endpoints: dict[str, Endpoint] = {}
        self.kept: dict[str, Mapping[str, Any]] = {}
        self.sent: list[str] = []
        self.fails: dict[str, str] = {}
        self.ends = "InService"
        self.takes = 30.0
        self._moving: dict[str, tuple[float, Endpoint]] = {}

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def lookup_endpoint(self, name: str) -> Endpoint | None:
        until, then = self._moving.get(name, (0.0, None))
        if then and self.now >= until:
            self.endpoints[name] = then
            del self._moving[name]
        return self.endpoints.get(name)

    def is_there(self, call: Call) -> bool:
        return _name(call) in self.kept

    def send(self, call: Call) -> None:
        if call.operation in self.fails:
            raise DeploymentFailed(self.fails[call.operation])
        self.sent.append(call.operation)
        if call.operation.startswith("Delete"):
            (name,) = call.request.values()
            (self.endpoints if call.operation == "DeleteEndpoint" else self.kept).pop(name)
        elif call.operation in ("CreateEndpoint", "UpdateEndpoint"):
            self._start(call)
        elif call.operation == "UpdateEndpointWeightsAndCapacities":
            self._move(call)
        else:
            self.kept[_name(call)] = call.request

    def last_log_lines(self, endpoint: str, count: int) -> tuple[str, ...]:
        return LOG

    def _start(self, call: Call) -> None:
        name, config = call.request["EndpointName"], call.request["EndpointConfigName"]
        before = self.endpoints.get(name)
        new = self._running(config)
        self.endpoints[name] = replace(new, status="Updating" if before else "Creating")
        outcomes = {
            "InService": new,
            "Failed": replace(new, status="Failed", reason="The container did not pass the ping."),
            "rolled back": replace(before or new, reason="The new fleet did not pass the ping."),
        }
        self._moving[name] = (self.now + self.takes, outcomes[self.ends])

    def _running(self, config: str) -> Endpoint:
        variants = self.kept[config]["ProductionVariants"]
        return Endpoint(
            arn="arn:aws:sagemaker:us-west-2:123456789012:endpoint/demo",
            status="InService",
            config=config,
            configured=tuple(variants),
            variants=tuple(
                LiveVariant(name=each["VariantName"], weight=each["InitialVariantWeight"], count=1)
                for each in variants
            ),
        )

    def _move(self, call: Call) -> None:
        wanted = {each["VariantName"]: each for each in call.request["DesiredWeightsAndCapacities"]}
        found = self.endpoints["demo"]
        moved = tuple(
            replace(
                each,
                weight=wanted[each.name]["DesiredWeight"],
                count=wanted[each.name].get("DesiredInstanceCount", each.count),
            )
            for each in found.variants
        )
        self.endpoints["demo"] = replace(found, variants=moved)


def _name(call: Call) -> str:
    names = ("ModelName", "EndpointConfigName", "EndpointName", "Key")
    return str(next(call.request[name] for name in names if name in call.request))


def go(service: SageMaker, wanted: Deployment | None = None, events: list[Event] | None = None) -> Endpoint:
    service.sent.clear()
    told = events if events is not None else []
    return roll_out(wanted or deployment(), (), service, told.append, patience=600, clock=lambda: service.now)


CREATION = ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]


def test_a_new_endpoint_is_made_and_waited_for() -> None:
    service, events = SageMaker(), list[Event]()
    assert go(service, events=events).status == "InService"
    assert service.sent == CREATION
    assert [each.text for each in events if each.text.startswith("Creating")] == [
        "Creating (ml-c7g-xlarge: 1 running)"
    ]
    assert events[-1].kind is Kind.FINISHED


def test_the_same_again_sends_nothing() -> None:
    service = SageMaker()
    first = go(service)
    assert go(service) == first
    assert service.sent == []


def test_an_endpoint_that_is_there_gets_a_new_configuration_and_keeps_the_old_ones_parts() -> None:
    service = SageMaker()
    before = go(service).config
    after = go(service, deployment(log_level=10)).config
    assert service.sent == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]
    assert before != after
    assert before in service.kept, "the configuration before is the way back"


def test_when_only_weights_change_only_traffic_moves() -> None:
    service = SageMaker()
    go(service, deployment(*SPLIT))
    half = tuple(replace(each, weight=50.0) for each in SPLIT)
    moved = go(service, deployment(*half))
    assert service.sent == ["UpdateEndpointWeightsAndCapacities"]
    assert [each.weight for each in moved.variants] == [50, 50]
    go(service, deployment(*half))
    assert service.sent == []


def test_a_count_that_is_given_moves_too_and_one_that_is_not_is_left_as_it_runs() -> None:
    service = SageMaker()
    go(service)
    assert go(service, deployment(count=4)).variants[0].count == 4
    assert service.sent == ["UpdateEndpointWeightsAndCapacities"]
    assert go(service).variants[0].count == 4
    assert service.sent == []


def test_adding_graviton_to_an_x86_endpoint_is_an_update() -> None:
    service = SageMaker()
    go(service, deployment(SPLIT[0]))
    assert len(go(service, deployment(*SPLIT)).variants) == 2
    assert service.sent == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]


def test_an_upload_that_is_there_is_not_sent_again() -> None:
    service = SageMaker()
    upload = Call(service="s3", operation="PutObject", request={"Bucket": "b", "Key": "k"})
    roll_out(deployment(), (upload,), service, list[Event]().append, patience=600, clock=lambda: 0)
    assert service.sent == ["PutObject", *CREATION]
    other = deployment(name="other")
    roll_out(other, (upload,), service, list[Event]().append, patience=600, clock=lambda: 0)
    assert service.sent.count("PutObject") == 1


def test_an_endpoint_that_does_not_come_up_is_told_with_reason_and_log_and_removed() -> None:
    service = SageMaker()
    service.ends = "Failed"
    with pytest.raises(DeploymentFailed) as failed:
        go(service)
    said = str(failed.value)
    assert "did not pass the ping" in said
    assert all(line in said for line in LOG)
    assert service.sent[3:] == ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]
    assert "Removed what was made: DeleteEndpoint demo" in said
    assert not service.endpoints
    assert not service.kept


def test_an_update_that_is_rolled_back_leaves_the_endpoint_as_it_was() -> None:
    service = SageMaker()
    before = go(service)
    kept = dict(service.kept)
    service.ends = "rolled back"
    with pytest.raises(DeploymentFailed, match=f"was rolled back to {before.config}"):
        go(service, deployment(log_level=10))
    assert "DeleteEndpoint" not in service.sent
    assert service.kept == kept, "only what this call made is gone"
    assert service.endpoints["demo"].config == before.config


def test_an_endpoint_that_fails_in_an_update_is_not_deleted_nor_its_configuration() -> None:
    service = SageMaker()
    go(service)
    service.ends = "Failed"
    with pytest.raises(DeploymentFailed, match="is Failed"):
        go(service, deployment(log_level=10))
    assert not [operation for operation in service.sent if operation.startswith("Delete")]


def test_what_was_made_before_a_refused_call_is_removed() -> None:
    service = SageMaker()
    service.fails["CreateEndpoint"] = "ResourceLimitExceeded: 0 instances"
    with pytest.raises(DeploymentFailed, match="ResourceLimitExceeded") as failed:
        go(service)
    assert service.sent[2:] == ["DeleteEndpointConfig", "DeleteModel"]
    assert not service.kept
    assert "Removed" in failed.value.remedy


def test_what_cannot_be_removed_is_told() -> None:
    service = SageMaker()
    service.fails |= {"CreateEndpoint": "no", "DeleteModel": "AccessDenied"}
    with pytest.raises(DeploymentFailed) as failed:
        go(service)
    assert "DeleteModel demo-" in failed.value.remedy
    assert "AccessDenied" in failed.value.remedy


def test_models_that_others_made_are_used_and_left() -> None:
    service = SageMaker()
    for call in requests(deployment()).preparation:
        service.send(call)
    service.ends = "Failed"
    with pytest.raises(DeploymentFailed):
        go(service)
    assert service.sent == ["CreateEndpoint", "DeleteEndpoint"]


def test_when_it_takes_too_long_nothing_is_removed_and_the_next_run_follows_it() -> None:
    service = SageMaker()
    service.takes = 700
    with pytest.raises(DeploymentFailed, match=r"still Creating after 60. s; nothing was removed"):
        go(service)
    assert service.sent == CREATION
    assert go(service).status == "InService"
    assert service.sent == []


def test_an_endpoint_on_its_way_elsewhere_is_not_disturbed() -> None:
    service = SageMaker()
    go(service)
    service.endpoints["demo"] = replace(service.endpoints["demo"], status="Updating", config="other")
    with pytest.raises(DeploymentRefused, match="Updating to configuration other"):
        go(service, deployment(log_level=10))
    assert service.sent == []


@pytest.mark.parametrize("status", ["Failed", "Deleting", "OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_that_takes_no_update_is_left_with_the_line_that_removes_it(status: str) -> None:
    service = SageMaker()
    go(service)
    service.endpoints["demo"] = replace(service.endpoints["demo"], status=status)
    with pytest.raises(DeploymentRefused, match="delete-endpoint --endpoint-name demo"):
        go(service, deployment(log_level=10))
    assert service.sent == []


def test_an_endpoint_that_someone_deletes_meanwhile_is_told() -> None:
    service = SageMaker()
    service.pause = lambda seconds: service.endpoints.clear()  # type: ignore[method-assign]
    with pytest.raises(DeploymentFailed, match="someone has deleted it"):
        go(service)


def test_settings_that_an_update_would_lose_are_told() -> None:
    service, events = SageMaker(), list[Event]()
    go(service)
    service.endpoints["demo"] = replace(service.endpoints["demo"], settings=("DataCaptureConfig",))
    go(service, deployment(log_level=10), events)
    (warning,) = [each.text for each in events if each.kind is Kind.WARNING]
    assert "DataCaptureConfig" in warning
