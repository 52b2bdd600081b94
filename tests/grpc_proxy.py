"""An engine as a remote BuildKit: what `docker buildx create --driver remote tcp://…` takes.

dockerd serves BuildKit's gRPC on its own socket behind an upgrade of HTTP, as the docker driver asks for it:
https://github.com/moby/moby/blob/v26.1.5/api/server/router/grpc/grpc.go. This proxy does that handshake for
each connection and pipes bytes; with TLS it lets in only whom its CA has signed, as buildkitd --tlscacert.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HANDSHAKE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
_PIECE = 1 << 16


@contextmanager
def remote_buildkit(engine: Path, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Yields `tcp://127.0.0.1:PORT`, which leads to the BuildKit of the engine with this socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, engine, tls), daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def mutual_tls(*, ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server takes that wants to know its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])  # gRPC of Go refuses a server that does not say so
    return context


def _serve(listener: socket.socket, engine: Path, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # closed: the test is over
            return
        threading.Thread(target=_connect, args=(client, engine, tls), daemon=True).start()


def _connect(client: socket.socket, engine: Path, tls: ssl.SSLContext | None) -> None:
    """One connection, until one of the two ends it; to an engine that is dead it ends at once."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with suppress(OSError), client, server:
        server.connect(str(engine))
        server.sendall(_HANDSHAKE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = server.recv(1)
            if not byte:
                return
            head += byte
        if b" 101 " not in head.partition(b"\r\n")[0]:
            return
        with tls.wrap_socket(client, server_side=True) if tls else client as near:
            back = threading.Thread(target=_pipe, args=(server, near), daemon=True)
            back.start()
            _pipe(near, server)
            back.join()


def _pipe(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            to.sendall(piece)
    for each in (source, to):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
