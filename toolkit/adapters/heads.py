"""Many HEADs of a registry on this machine at once: does it still answer the same to all of them?

Not by httpx, which takes longer to load than sixty answers take. Requests follow each other on a few
connections without waiting for answers: https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2
See toolkit.standing for what may be imported here.
"""

import socket

import toolkit
from toolkit.standing import Answer

_CONNECTIONS = 8
_SECONDS = 10.0

# So many answers fit into the buffers of a connection: neither side ever waits for the other to read.
_UNREAD = 64
_CHUNK = 1 << 16
_END = b"\r\n\r\n"


class Heads:
    """Asks for each path of `wanted` over plain HTTP, at once; the answers are read when they are wanted."""

    def __init__(self, host: str, accept: str, wanted: tuple[Answer, ...]) -> None:
        """Raises OSError when nothing answers there."""
        self._host = host
        self._accept = accept
        self._shares = [wanted[start::_CONNECTIONS] for start in range(min(_CONNECTIONS, len(wanted)))]
        self._connections: list[socket.socket] = []
        try:
            for share in self._shares:
                self._connections.append(_connect(host))
                self._send(self._connections[-1], share[:_UNREAD])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def are_as_wanted(self) -> bool:
        """Whether each path still answers with its digest, media type and length.

        False for any doubt: another answer, a connection that ends, a server that wants to know more.
        Raises OSError for one that breaks or is silent.
        """
        asked = zip(self._connections, self._shares, strict=True)
        return all(self._agrees(connection, share) for connection, share in asked)

    def _agrees(self, connection: socket.socket, share: tuple[Answer, ...]) -> bool:
        for start in range(0, len(share), _UNREAD):
            part = share[start : start + _UNREAD]
            if start:  # the first of them are on their way
                self._send(connection, part)
            if not agree(_read(connection, len(part)), part):
                return False
        return True

    def _send(self, connection: socket.socket, part: tuple[Answer, ...]) -> None:
        connection.sendall(b"".join(_request(self._host, self._accept, answer[0]) for answer in part))


def _connect(host: str) -> socket.socket:
    name, port = _split(host)
    trouble: OSError | None = None
    # As bytes: for a name in letters Python loads its tables of international names.
    for family, kind, protocol, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(_SECONDS)
        try:
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            trouble = error
    raise trouble or OSError(f"{host} has no address")


def _split(host: str) -> tuple[bytes, int]:
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name, port = host, "80"
    return name.strip("[]").encode("ascii"), int(port)


def _request(host: str, accept: str, path: str) -> bytes:
    return (
        f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n"
        f"User-Agent: multiarch-images/{toolkit.__version__}\r\n\r\n"
    ).encode("ascii")


def _read(connection: socket.socket, count: int) -> bytes:
    """`count` answers to HEADs, which have no bodies; less when the server ends the connection."""
    found = bytearray()
    while found.count(_END) < count:
        piece = connection.recv(_CHUNK)
        if not piece:
            break
        found += piece
    return bytes(found)


def agree(answers: bytes, wanted: tuple[Answer, ...]) -> bool:
    """Whether these are the answers that are wanted, in their order, and nothing else."""
    heads = answers.split(_END)
    if len(heads) != len(wanted) + 1 or heads[-1]:
        return False
    return all(_agrees(head, answer) for head, answer in zip(heads, wanted, strict=False))


def _agrees(head: bytes, answer: Answer) -> bool:
    status, *lines = head.decode("latin-1").split("\r\n")
    if not status.startswith("HTTP/1.1 200 "):
        return False
    _, digest, media_type, length = answer
    wanted = {"docker-content-digest": digest, "content-type": media_type, "content-length": length}
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return dict(fields).items() >= wanted.items() and all(
        value == wanted.get(name, value) for name, value in fields
    )
