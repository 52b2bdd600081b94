"""[builders.NAME] → CatalogBuilder: the machines that build, and for which platforms."""

from toolkit.catalog import grammar
from toolkit.catalog.builder import CatalogBuilder, Node, NodeKind, NodePlatform
from toolkit.catalog.faults import Faults, quote
from toolkit.catalog.table import Table

# Kinds that mean this machine's own engine where they name none.
_WITHOUT_ENDPOINT = (NodeKind.LOCAL, NodeKind.CONTAINER)


def read_builders(builders: Table, faults: Faults) -> dict[str, CatalogBuilder]:
    """The builders without fault, by name, in the order of the file."""
    found: dict[str, CatalogBuilder] = {}
    for name, table in builders.tables("builder", grammar.BUILDER_NAME):
        before = len(faults)
        node_tables = table.table(
            "nodes", example='{ here = { kind = "local", platforms = ["linux/amd64"] } }'
        )
        read = [
            _read(each, node.about(f"builder {quote(name)}: node {quote(each)}: "))
            for each, node in node_tables.tables("node", grammar.NODE_NAME)
        ]
        if "nodes" in table and not tuple(node_tables):
            table.fault(table.at("nodes"), f"there is no node: add [builders.{name}.nodes.NODE]")
        table.close()
        nodes = tuple(node for node in read if node)
        _fault_doubles(table, nodes)
        if len(faults) == before:
            found[name] = CatalogBuilder(name=name, nodes=nodes, line=table.line(table.path))
    return found


def _read(name: str, table: Table) -> Node | None:
    """None, and none of its other keys judged, when its kind cannot be told."""
    kind = table.choice("kind", NodeKind)
    if kind is None:
        if "kind" not in table:
            kinds = ", ".join(each.value for each in NodeKind)
            table.fault(table.path, f"kind is missing: add kind = {quote(NodeKind.LOCAL)}, or one of {kinds}")
        return None
    platforms = table.choices("platforms", NodePlatform, word="platform")
    endpoint = certificates = server_name = image = namespace = ""
    replicas = 1
    match kind:
        case NodeKind.LOCAL:
            endpoint = table.text("endpoint", grammar.SOCKET_ENDPOINT, default="")
        case NodeKind.SSH:
            endpoint = table.text("endpoint", grammar.SSH_ENDPOINT)
        case NodeKind.REMOTE:
            endpoint = table.text("endpoint", grammar.REMOTE_ENDPOINT)
            certificates = table.text("certificates", grammar.DIRECTORY_NAME, default="")
            server_name = table.text("server_name", grammar.HOST_NAME, default="")
            _fault_useless(table, endpoint, certificates)
        case NodeKind.CONTAINER:
            endpoint = table.text("endpoint", grammar.ENGINE_ENDPOINT, default="")
            image = table.text("image", grammar.REFERENCE, default="")
        case NodeKind.KUBERNETES:
            image = table.text("image", grammar.REFERENCE, default="")
            namespace = table.text("namespace", grammar.NAMESPACE, default="")
            replicas = table.count("replicas", default=1)
    table.close()
    return Node(
        name=name,
        kind=kind,
        platforms=platforms,
        line=table.line(table.path),
        endpoint=endpoint,
        certificates=certificates,
        server_name=server_name,
        image=image,
        namespace=namespace,
        replicas=replicas,
    )


def _fault_useless(table: Table, endpoint: str, certificates: str) -> None:
    if certificates and endpoint.startswith("unix://"):
        table.fault(
            table.at("certificates"), "certificates do nothing over a socket of this machine: remove it"
        )
    if "server_name" in table and not certificates:
        table.fault(table.at("server_name"), "server_name goes with certificates: add them, or remove it")


def _fault_doubles(table: Table, nodes: tuple[Node, ...]) -> None:
    """Buildx takes an endpoint once, and nothing is gained where a second node is the first one."""
    seen: dict[tuple[NodeKind, str], Node] = {}
    for node in nodes:
        if not node.endpoint and node.kind not in _WITHOUT_ENDPOINT:
            continue
        first = seen.setdefault((node.kind, node.endpoint), node)
        if first is not node:
            path = table.at("nodes", node.name, *(("endpoint",) if node.endpoint else ()))
            table.fault(
                path,
                f"node {quote(node.name)}: its endpoint is that of node {quote(first.name)}: "
                f"give {quote(first.name)} all the platforms and remove one of the two",
            )
