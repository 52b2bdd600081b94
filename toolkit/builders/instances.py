"""[builders.NAME] → instances of Buildx and the commands that bring Buildx from what it has to them. Pure.

Each node is an instance of its own, NAME.NODE, as Buildx goes to one node per platform only: within one
instance a platform belongs to the node that came last, and of the others none is tried when that one dies
(docker/buildx, store/nodegroup.go, validateDuplicates). Beside them NAME joins the nodes of one driver, for
people: `docker buildx build --builder NAME`. An engine needs none: the docker client talks to it directly.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.catalog.builder import CatalogBuilder, Node, NodeKind, NodePlatform

Command = tuple[str, ...]
"""What follows `docker buildx`."""

_DRIVERS = {
    NodeKind.REMOTE: "remote",
    NodeKind.CONTAINER: "docker-container",
    NodeKind.KUBERNETES: "kubernetes",
}


@dataclass(frozen=True, kw_only=True)
class Member:
    """A node as Buildx keeps it. `endpoint` is "" where Buildx finds one itself."""

    name: str
    platforms: tuple[str, ...]
    endpoint: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A builder instance of Buildx."""

    name: str
    driver: str
    members: tuple[Member, ...]


def instance_name(builder: CatalogBuilder, node: Node) -> str:
    """Of the node's own instance; "" for an engine, which has none."""
    return f"{builder.name}.{node.name}" if node.kind in _DRIVERS else ""


def instances_of(builder: CatalogBuilder, directory_of: Callable[[str], Path]) -> tuple[Instance, ...]:
    """What Buildx should have: the joint one, where all nodes are of one driver, and one for each node.

    `directory_of` gives the absolute path of a directory of certificates.
    """
    single = {
        node: Instance(
            name=instance_name(builder, node),
            driver=_DRIVERS[node.kind],
            members=(_member(builder, node, directory_of),),
        )
        for node in builder.nodes
        if node.kind in _DRIVERS
    }
    if len({node.kind for node in builder.nodes}) > 1 or not single:
        return tuple(single.values())
    joint = Instance(
        name=builder.name,
        driver=next(iter(single.values())).driver,
        members=tuple(_first_of_their_platforms(single.values())),
    )
    return (joint, *single.values())


def _first_of_their_platforms(single: Iterable[Instance]) -> Iterator[Member]:
    """Each platform for the first node that has it; a node that is left without any stays out."""
    taken: set[str] = set()
    for instance in single:
        member = instance.members[0]
        platforms = tuple(each for each in member.platforms if each not in taken)
        taken.update(platforms)
        if platforms:
            yield replace(member, platforms=platforms)


def _member(builder: CatalogBuilder, node: Node, directory_of: Callable[[str], Path]) -> Member:
    return Member(
        # Buildx names containers and deployments after it, and DNS labels have no dots.
        name=f"{builder.name}-{node.name}",
        platforms=tuple(each.value for each in node.platforms),
        endpoint=node.endpoint,
        options=dict(_options(node, directory_of)),
    )


def _options(node: Node, directory_of: Callable[[str], Path]) -> dict[str, str]:
    """https://docs.docker.com/build/builders/drivers/remote/ and, beside it, /kubernetes/ and
    /docker-container/."""
    options: dict[str, str] = {}
    if node.certificates:
        directory = directory_of(node.certificates)
        options |= {"cacert": f"{directory}/ca.pem", "cert": f"{directory}/cert.pem"}
        options |= {"key": f"{directory}/key.pem"}
    if node.server_name:
        options["servername"] = node.server_name
    if node.image:
        options["image"] = node.image
    if node.kind is NodeKind.KUBERNETES:
        if node.namespace:
            options["namespace"] = node.namespace
        options["replicas"] = str(node.replicas)
        if len(node.platforms) == 1:  # a pod for one platform runs where that is native
            options["nodeselector"] = f"kubernetes.io/arch={_architecture(node.platforms[0])}"
    return options


def _architecture(platform: NodePlatform) -> str:
    return platform.architecture.value


def commands(wanted: Instance, found: Instance | None) -> tuple[Command, ...]:
    """What brings Buildx from what it has under this name to what it should have; () when that is the same.

    What differs is made anew, its cache kept; a node that was added is appended.
    """
    if found is None:
        return _creations(wanted, 0)
    if found.driver == wanted.driver and len(found.members) <= len(wanted.members):
        pairs = zip(wanted.members, found.members, strict=False)
        if all(_is_same(want, have) for want, have in pairs):
            return _creations(wanted, len(found.members))
    return (("rm", "--force", "--keep-state", wanted.name), *_creations(wanted, 0))


def _is_same(wanted: Member, found: Member) -> bool:
    """Where Buildx chose the endpoint, any is right."""
    return (
        (wanted.name, wanted.platforms, dict(wanted.options))
        == (found.name, found.platforms, dict(found.options))
    ) and wanted.endpoint in ("", found.endpoint)


def _creations(instance: Instance, start: int) -> tuple[Command, ...]:
    """A command for each member from `start` on."""
    made = []
    for number, member in enumerate(instance.members[start:], start):
        append = ("--append",) if number else ()
        options = (each for key, value in sorted(member.options.items()) for each in _option(key, value))
        endpoint = (member.endpoint,) if member.endpoint else ()
        made.append(
            (
                *("create", *append, "--name", instance.name, "--driver", instance.driver),
                *("--node", member.name, "--platform", ",".join(member.platforms)),
                *options,
                *endpoint,
            )
        )
    return tuple(made)


def _option(key: str, value: str) -> tuple[str, str]:
    """Buildx reads the value of --driver-opt as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([f"{key}={value}"])
    return "--driver-opt", line.getvalue()


_NODE = re.compile(r"^Name: ", re.MULTILINE)
_OPTION = re.compile(r'(\S+?)="((?:[^"\\]|\\.)*)"')


def parse_instance(text: str) -> Instance | None:
    """The output of `docker buildx inspect NAME`; None when it is not that.

    Of its platforms those with a star are the ones that were asked for.
    """
    head, _, nodes = text.partition("\nNodes:\n")
    fields = dict(re.findall(r"^(Name|Driver):\s*(\S+)", head, re.MULTILINE))
    if len(fields) < 2:
        return None
    return Instance(
        name=fields["Name"],
        driver=fields["Driver"],
        members=tuple(_parse_member(part) for part in _NODE.split(nodes)[1:]),
    )


def _parse_member(text: str) -> Member:
    def line(label: str) -> str:
        found = re.search(rf"^{label}:[ \t]*(.*)$", text, re.MULTILINE)
        return found[1].strip() if found else ""

    return Member(
        name=text.partition("\n")[0].strip(),
        endpoint=line("Endpoint"),
        platforms=tuple(re.findall(r"(linux/\w+)\*", line("Platforms"))),
        options={key: value.replace('\\"', '"') for key, value in _OPTION.findall(line("Driver Options"))},
    )


def is_running(text: str) -> bool:
    """Whether `docker buildx inspect NAME` says so of all nodes."""
    states = re.findall(r"^Status:[ \t]*(\S+)", text, re.MULTILINE)
    return bool(states) and set(states) == {"running"}
