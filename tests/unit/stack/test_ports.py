"""Ports of servers stay out of the range from which the kernel takes the ports of outgoing connections."""

from pathlib import Path

import pytest

from runtime.stack.ports import client_ports, free_ports


def test_a_client_can_never_hold_a_servers_port() -> None:
    # A client that knocks at a server which is down may be given that very port, connect to itself and keep the server out.
    if not Path("/proc/sys/net/ipv4/ip_local_port_range").exists():
        pytest.skip("this kernel does not say which ports clients get")

    ports = free_ports(100)

    assert len(set(ports)) == 100
    assert not set(ports) & set(client_ports())


def test_processes_that_choose_at_once_choose_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def ports_of(process: int) -> set[int]:
        monkeypatch.setattr("os.getpid", lambda: process)
        return set(free_ports(50))

    assert not ports_of(1000) & ports_of(1001)


def test_a_port_that_was_given_is_not_given_again_before_somebody_has_bound_it() -> None:
    given = [free_ports(1)[0] for _ in range(400)]
    assert len(set(given)) == 400
