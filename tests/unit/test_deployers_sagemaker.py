"""The requests that make a SageMaker endpoint."""

import pytest

from tests.aws_models import enumeration, faults
from tests.deployments import AMD64, MODEL, deployment, variant
from toolkit.deployers.calls import Call
from toolkit.deployers.sagemaker import (
    CODE_DIR,
    Script,
    container_environment,
    create_endpoint,
    document,
    move_traffic,
    removal,
    requests,
    update_endpoint,
)
from toolkit.errors import UsageError

SPLIT = (variant("ml.c5.xlarge", 90, AMD64), variant("ml.c7g.xlarge", 10))


def everything(wanted: object) -> list[Call]:
    """All calls that `document` prints, as they would be sent."""
    config = requests(wanted).config["EndpointConfigName"]  # type: ignore[arg-type]
    return [
        *requests(wanted).preparation,  # type: ignore[arg-type]
        create_endpoint(wanted, config),  # type: ignore[arg-type]
        update_endpoint(wanted, config),  # type: ignore[arg-type]
        move_traffic(wanted),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("instance_type", enumeration("sagemaker", "ProductionVariantInstanceType"))
def test_every_endpoint_type_gives_requests_that_the_service_model_takes(instance_type: str) -> None:
    for call in everything(deployment(variant(instance_type))):
        assert faults("sagemaker", call.operation, call.request) == []


@pytest.mark.parametrize("accelerator", enumeration("sagemaker", "ProductionVariantAcceleratorType"))
def test_every_accelerator_type_is_passed_on_as_the_api_has_it(accelerator: str) -> None:
    wanted = deployment(variant("ml.c5.large", image=AMD64), accelerator_type=accelerator)
    for call in everything(wanted):
        assert faults("sagemaker", call.operation, call.request) == []
    (made,) = requests(wanted).config["ProductionVariants"]
    assert made["AcceleratorType"] == accelerator


def test_the_validator_of_these_tests_sees_what_is_wrong() -> None:
    bad = {
        "EndpointConfigName": "-",
        "ProductionVariants": [{"VariantName": "a", "InstanceType": "ml.x1.huge", "InitialInstanceCount": 0}],
    }
    assert len(faults("sagemaker", "CreateEndpointConfig", bad)) == 3
    assert faults("sagemaker", "CreateEndpoint", {"EndpointName": "a"}) != []


def test_the_environment_is_what_sagemakers_containers_read() -> None:
    script = Script(program="entry.py", directory="s3://models/code.tar.gz")
    wanted = deployment(script=script, log_level=10, environment={"OMP_NUM_THREADS": "2"})
    assert container_environment(wanted) == {
        "SAGEMAKER_PROGRAM": "entry.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "s3://models/code.tar.gz",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "10",
        "SAGEMAKER_REGION": "us-west-2",
        "OMP_NUM_THREADS": "2",
    }
    (model,) = requests(wanted).models
    assert model["PrimaryContainer"]["Environment"] == container_environment(wanted)
    assert model["PrimaryContainer"]["ModelDataUrl"] == MODEL


def test_without_a_script_none_is_named() -> None:
    assert not [name for name in container_environment(deployment()) if "PROGRAM" in name or "SUBMIT" in name]


def test_names_follow_from_what_they_name() -> None:
    same, other = requests(deployment()), requests(deployment(log_level=10))
    assert requests(deployment()) == same
    assert other.models[0]["ModelName"] != same.models[0]["ModelName"]
    assert other.config["EndpointConfigName"] != same.config["EndpointConfigName"]


def test_two_types_of_one_architecture_share_a_model() -> None:
    made = requests(deployment(variant("ml.c7g.large"), variant("ml.m6g.large")))
    assert len(made.models) == 1
    assert [each["VariantName"] for each in made.config["ProductionVariants"]] == [
        "ml-c7g-large",
        "ml-m6g-large",
    ]


def test_a_split_gives_each_variant_its_image_and_its_weight() -> None:
    made = requests(deployment(*SPLIT))
    images = {each["ModelName"]: each["PrimaryContainer"]["Image"] for each in made.models}
    rows = [
        (each["InstanceType"], images[each["ModelName"]], each["InitialVariantWeight"])
        for each in made.config["ProductionVariants"]
    ]
    assert rows == [
        ("ml.c5.xlarge", AMD64.uri, 90.0),
        ("ml.c7g.xlarge", variant().image.uri, 10.0),
    ]


def test_an_update_keeps_the_counts_that_run_unless_one_is_given() -> None:
    kept, given = (update_endpoint(deployment(count=count), "c").request for count in (None, 3))
    assert kept["RetainAllVariantProperties"] is True
    assert kept["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DesiredWeight"}]
    assert "RetainAllVariantProperties" not in given


def test_moving_traffic_touches_counts_only_when_one_is_given() -> None:
    assert move_traffic(deployment(*SPLIT)).request["DesiredWeightsAndCapacities"] == [
        {"VariantName": "ml-c5-xlarge", "DesiredWeight": 90},
        {"VariantName": "ml-c7g-xlarge", "DesiredWeight": 10},
    ]
    (moved,) = move_traffic(deployment(count=2)).request["DesiredWeightsAndCapacities"]
    assert moved["DesiredInstanceCount"] == 2


def test_what_is_made_can_be_taken_back() -> None:
    wanted = deployment()
    for call in (*requests(wanted).preparation, create_endpoint(wanted, "c")):
        undo = removal(call)
        assert undo.operation == call.operation.replace("Create", "Delete")
        assert faults("sagemaker", undo.operation, undo.request) == []


def test_the_document_has_the_calls_in_order_and_what_differs_for_an_endpoint_that_is_there() -> None:
    shown = document(deployment(*SPLIT), ())
    assert [each["operation"] for each in shown["calls"]] == [
        "CreateModel",
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]
    assert [(each["of"], each["call"]["operation"]) for each in shown["instead"]] == [
        ("CreateEndpoint", "UpdateEndpoint"),
        ("all calls", "UpdateEndpointWeightsAndCapacities"),
    ]


@pytest.mark.parametrize("name", ["a", "a-b", "A1-2", "x" * 54])
def test_names_that_leave_room_for_the_digits_are_taken(name: str) -> None:
    for call in everything(deployment(name=name)):
        assert faults("sagemaker", call.operation, call.request) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a_b"},
        {"name": "-a"},
        {"name": "a-"},
        {"name": "x" * 55},
        {"name": ""},
        {"role": "serving"},
        {"model_data": "models/demo.tar.gz"},
        {"model_data": "s3://models/demo.zip"},
        {"script": Script(program="a.py", directory="/code")},
        {"variants": (variant(), variant())},
        {"variants": (variant(weight=0),)},
    ],
)
def test_what_the_api_would_not_take_is_a_fault_at_once(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        deployment(**changes)


def test_code_within_the_model_archive_is_named_by_its_place_in_the_container() -> None:
    wanted = deployment(script=Script(program="inference.py", directory=CODE_DIR))
    assert container_environment(wanted)["SAGEMAKER_SUBMIT_DIRECTORY"] == "/opt/ml/model/code"
