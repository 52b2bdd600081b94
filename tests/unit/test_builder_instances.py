"""What Buildx is told of the nodes of a builder, for every driver, and what brings it there."""

from dataclasses import replace
from pathlib import Path

from tests.projects import CATALOG
from tests.unit.test_catalog_builders import BUILDERS
from toolkit.builders.instances import (
    Instance,
    Member,
    commands,
    instances_of,
    is_running,
    parse_instance,
)
from toolkit.catalog import parse_catalog
from toolkit.catalog.builder import CatalogBuilder

REMOTE = """
[builders.far.nodes.a]
kind = "remote"
endpoint = "tcp://a.build.example:1234"
platforms = ["linux/amd64"]
[builders.far.nodes.b]
kind = "remote"
endpoint = "tcp://b.build.example:1234"
certificates = "keys"
platforms = ["linux/arm64", "linux/amd64"]
[builders.far.nodes.c]
kind = "remote"
endpoint = "unix:///run/buildkit/buildkitd.sock"
platforms = ["linux/amd64"]
"""

# Seen of Buildx 0.13.1.
INSPECTED = """\
Name:          far.b
Driver:        remote
Last Activity: 2026-11-21 15:11:24 +0000 UTC

Nodes:
Name:             far-b
Endpoint:         tcp://b.build.example:1234
Driver Options:   cacert="/home/me/.docker/keys/ca.pem" cert="/home/me/.docker/keys/cert.pem" key="/home/me/.docker/keys/key.pem"
Status:           running
BuildKit version: v0.13.2
Platforms:        linux/arm64*, linux/amd64*, linux/amd64/v2
Labels:
 org.mobyproject.buildkit.worker.executor: containerd
"""  # noqa: E501


def builder(name: str) -> CatalogBuilder:
    return parse_catalog(CATALOG + BUILDERS + REMOTE).builders[name]


def wanted(name: str) -> dict[str, Instance]:
    found = instances_of(builder(name), lambda directory: Path("/home/me/.docker", directory))
    return {each.name: each for each in found}


def texts(instance: Instance, found: Instance | None = None) -> list[str]:
    return [" ".join(each) for each in commands(instance, found)]


def test_remote_nodes_are_instances_of_their_own_and_one_that_joins_them() -> None:
    made = wanted("far")
    assert list(made) == ["far", "far.a", "far.b", "far.c"]
    keys = (
        "--driver-opt cacert=/home/me/.docker/keys/ca.pem --driver-opt cert=/home/me/.docker/keys/cert.pem "
        "--driver-opt key=/home/me/.docker/keys/key.pem"
    )
    # Buildx takes a platform from a node when another one of the instance has it: the first keeps it here,
    # and one that is left without any stays out.
    assert texts(made["far"]) == [
        "create --name far --driver remote --node far-a --platform linux/amd64 tcp://a.build.example:1234",
        f"create --append --name far --driver remote --node far-b --platform linux/arm64 {keys} "
        "tcp://b.build.example:1234",
    ]
    assert texts(made["far.b"]) == [
        f"create --name far.b --driver remote --node far-b --platform linux/arm64,linux/amd64 {keys} "
        "tcp://b.build.example:1234"
    ]


def test_engines_need_no_instance_and_make_nodes_of_several_drivers_that_cannot_be_joined() -> None:
    made = wanted("fleet")
    assert list(made) == ["fleet.arm64"]
    assert made["fleet.arm64"].members[0].options["servername"] == "node.build.example"


def test_the_arguments_for_docker_container() -> None:
    assert texts(wanted("boxes")["boxes.here"]) == [
        "create --name boxes.here --driver docker-container --node boxes-here --platform linux/amd64 "
        "--driver-opt image=registry.example/moby/buildkit:v0.13.1"
    ]


def test_the_arguments_for_kubernetes_choose_machines_on_which_the_platform_is_native() -> None:
    made = wanted("pods")
    arguments = (
        "--driver kubernetes --node pods-arm64 --platform linux/arm64 --driver-opt namespace=buildkit "
        "--driver-opt nodeselector=kubernetes.io/arch=arm64 --driver-opt replicas=3"
    )
    assert texts(made["pods"]) == [f"create --name pods {arguments}"]
    assert texts(made["pods.arm64"]) == [f"create --name pods.arm64 {arguments}"]


def test_an_option_with_a_comma_is_one_field_of_csv() -> None:
    member = Member(name="a", platforms=("linux/amd64",), options={"cacert": "/home/a,b/ca.pem"})
    (command,) = commands(Instance(name="x.a", driver="remote", members=(member,)), None)
    assert '"cacert=/home/a,b/ca.pem"' in command


def test_what_buildx_has_is_read_from_what_it_prints() -> None:
    found = parse_instance(INSPECTED)
    assert found == wanted("far")["far.b"]
    assert is_running(INSPECTED)
    assert not is_running(INSPECTED.replace("running", "inactive"))
    assert parse_instance('ERROR: no builder "far.b" found') is None


def test_what_is_as_it_should_be_takes_no_command() -> None:
    for name in ("far", "fleet", "boxes", "pods"):
        for instance in wanted(name).values():
            assert commands(instance, instance) == ()


def test_an_endpoint_that_buildx_chose_is_no_drift() -> None:
    want = wanted("boxes")["boxes.here"]
    chosen = replace(want, members=(replace(want.members[0], endpoint="unix:///var/run/docker.sock"),))
    assert commands(want, chosen) == ()


def test_a_node_that_was_added_is_appended_and_all_else_is_made_anew_with_its_cache() -> None:
    want = wanted("far")["far"]
    first, second = want.members
    assert texts(want, replace(want, members=(first,))) == texts(want)[1:]
    for drifted in (
        replace(want, driver="docker-container"),
        replace(want, members=(second, first)),
        replace(want, members=(first, second, replace(second, name="far-c"))),
        replace(want, members=(replace(first, endpoint="tcp://elsewhere.example:1234"), second)),
        replace(want, members=(replace(first, platforms=("linux/arm64",)), second)),
        replace(want, members=(first, replace(second, options={}))),
    ):
        assert texts(want, drifted) == ["rm --force --keep-state far", *texts(want)]
