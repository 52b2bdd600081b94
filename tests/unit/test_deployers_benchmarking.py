"""A benchmark from its first request to its table."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deployments import PACKAGE_ARN as ARN
from tests.deployments import benchmark
from tests.deployments import metadata as row
from toolkit.deployers.benchmarking import Job, Measurement, measure
from toolkit.deployers.calls import Call
from toolkit.deployers.recommender import Benchmark, ModelMetadata
from toolkit.deployers.side_by_side import comparison
from toolkit.errors import DeploymentFailed, DeploymentRefused
from toolkit.progress import Event


class Service:
    """Inference Recommender in memory: each job ends after `takes` seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 90.0
        self.sent: list[Call] = []
        self.fails: set[str] = set()
        self.metadata: tuple[ModelMetadata, ...] = (row("resnet50"), row("unet", task="IMAGE_SEGMENTATION"))
        self._jobs: dict[str, float] = {}
        self._kept: set[str] = set()

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def model_metadata(self) -> tuple[ModelMetadata, ...]:
        return self.metadata

    def is_there(self, call: Call) -> bool:
        return str(call.request) in self._kept

    def answer(self, call: Call) -> Mapping[str, Any]:
        if call.operation in self.fails:
            raise DeploymentFailed(f"{call.operation}: LimitExceeded")
        self.sent.append(call)
        self._kept.add(str(call.request))
        if call.operation == "CreateInferenceRecommendationsJob":
            self._jobs[call.request["JobName"]] = self.now + self.takes
        return {"ModelPackageArn": ARN}

    def lookup_job(self, name: str) -> Job | None:
        if name not in self._jobs:
            return None
        if self.now < self._jobs[name]:
            return Job(name=name, status="IN_PROGRESS")
        return Job(name=name, status="COMPLETED", measurements=(Measurement(instance_type="ml.c7g.xlarge"),))


def run(service: Service, wanted: Benchmark | None = None) -> tuple[Job, ...]:
    service.sent.clear()
    return measure(
        wanted or benchmark(), (), service, list[Event]().append, patience=600, clock=lambda: service.now
    )


def operations(service: Service) -> list[str]:
    return [call.operation for call in service.sent]


PAIR = ["CreateModelPackage", "CreateInferenceRecommendationsJob"]


def test_each_architecture_is_packaged_and_measured_with_the_nearest_model() -> None:
    service = Service()
    jobs = run(service)
    assert [job.status for job in jobs] == ["COMPLETED"] * 2
    assert operations(service) == ["CreateModelPackageGroup", *PAIR, *PAIR]
    container = service.sent[1].request["InferenceSpecification"]["Containers"][0]
    assert container["NearestModelName"] == "resnet50"
    assert service.sent[2].request["InputConfig"]["ModelPackageVersionArn"] == ARN


def test_a_second_run_follows_the_first_and_pays_nothing() -> None:
    service = Service()
    assert run(service) == run(service)
    assert operations(service) == []


def test_a_model_is_named_as_it_was_asked_for_when_the_service_has_it() -> None:
    service = Service()
    run(service, benchmark(nearest="unet"))
    assert service.sent[1].request["InferenceSpecification"]["Containers"][0]["NearestModelName"] == "unet"
    with pytest.raises(DeploymentRefused, match="resnet50, unet"):
        run(Service(), benchmark(nearest="mine"))


def test_without_a_benchmarked_model_of_the_domain_none_is_named() -> None:
    service = Service()
    service.metadata = ()
    run(service)
    assert "NearestModelName" not in service.sent[1].request["InferenceSpecification"]["Containers"][0]


def test_a_package_whose_job_is_refused_is_removed() -> None:
    service = Service()
    service.fails.add("CreateInferenceRecommendationsJob")
    with pytest.raises(DeploymentFailed, match="LimitExceeded"):
        run(service)
    assert operations(service) == ["CreateModelPackageGroup", "CreateModelPackage", "DeleteModelPackage"]
    assert service.sent[-1].request == {"ModelPackageName": ARN}


def test_jobs_that_take_too_long_go_on_and_are_told() -> None:
    service = Service()
    service.takes = 1000
    with pytest.raises(DeploymentFailed, match=r"after 6.. s not every job has ended"):
        run(service)
    assert [job.status for job in run(service)] == ["COMPLETED"] * 2
    assert operations(service) == []


def measured(instance_type: str, price: float | None, latency: int = 40, count: int = 1) -> Measurement:
    return Measurement(
        instance_type=instance_type,
        count=count,
        cost_per_hour=0.2,
        cost_per_inference=price,
        invocations=600,
        latency=latency,
    )


def test_the_table_has_x86_and_graviton_of_one_class_side_by_side() -> None:
    jobs = (
        Job(
            name="x86",
            status="COMPLETED",
            measurements=(
                measured("ml.c5.xlarge", 9e-6),
                measured("ml.c7i.xlarge", 8e-6, count=2),
                measured("ml.m5.large", 7e-6),
            ),
        ),
        Job(name="arm", status="COMPLETED", measurements=(measured("ml.c7g.xlarge", 5.6e-6, 31),)),
    )
    head, *lines = [re.split(r" {2,}", line.strip()) for line in comparison(jobs).splitlines()]
    assert head[:3] == ["class", "x86", "$/hour"]
    graviton = ["ml.c7g.xlarge", "0.200", "5.60", "600", "31"]
    assert lines[0] == ["c xlarge", "ml.c7i.xlarge × 2", "0.200", "8.00", "600", "40", *graviton]
    assert lines[1] == ["ml.c5.xlarge", "0.200", "9.00", "600", "40"]
    assert lines[2] == ["m large", "ml.m5.large", "0.200", "7.00", "600", "40"]
    assert comparison(jobs).splitlines()[-1] == "cheapest inference: ml.c7g.xlarge -20% against ml.m5.large"


def test_what_the_service_does_not_say_is_a_dash_and_no_verdict_is_given() -> None:
    jobs = (Job(name="a", status="COMPLETED", measurements=(Measurement(instance_type="ml.c7g.xlarge"),)),)
    assert comparison(jobs).splitlines()[1].split() == ["c", "xlarge", "ml.c7g.xlarge", "-", "-", "-", "-"]
    assert "cheapest" not in comparison(jobs)


def test_measurements_are_told_to_programs_with_their_architecture() -> None:
    assert measured("ml.c7g.xlarge", 5e-6).to_json()["architecture"] == "arm64"
