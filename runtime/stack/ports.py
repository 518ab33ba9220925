"""Free ports on loopback. A port is only promised to be free at the moment of asking."""

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 15_000, 65_535
_CLIENT_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SHARES = 64
_USUAL_CLIENT_PORTS = range(32_768, 65_536)
# What this process has given: whoever got one may not have bound it yet, or may come back to it.
_given: set[int] = set()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def client_ports() -> range:
    """From which ports the kernel takes those of outgoing connections."""
    try:
        first, last = map(int, _CLIENT_PORTS.read_text().split())
    except (OSError, ValueError):
        return _USUAL_CLIENT_PORTS
    return range(first, last + 1)


def free_ports(count: int) -> list[int]:
    """Distinct free ports; all are held while choosing, and none is given twice by a process.

    None of them is a client's: a client that knocks at a server which is down may be given the server's own port, connect
    to itself, and keep the server from starting again.
    """
    held: list[socket.socket] = []
    candidates = _candidates()
    try:
        while len(held) < count:
            one = socket.socket()
            held.append(one)
            try:
                one.bind((LOOPBACK, next(candidates)))
            except OSError:
                held.pop().close()
        found = [int(one.getsockname()[1]) for one in held]
        _given.update(found)
        return found
    finally:
        for one in held:
            one.close()


def _candidates() -> Iterator[int]:
    """Ports to try; where the clients' range leaves no room, whatever the kernel gives.

    Each process begins with a share of its own: of two that choose at once, none takes what the other has not bound yet.
    """
    taken = client_ports()
    ports = [port for port in range(_LOWEST, _HIGHEST + 1) if port not in taken and port not in _given]
    random.shuffle(ports)
    yield from sorted(ports, key=lambda port: (port - os.getpid()) % _SHARES != 0)
    while True:
        yield 0


def answers(port: int) -> bool:
    """Somebody accepts connections there."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
