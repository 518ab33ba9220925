"""How a test run finds its servers, and how it cleans up after a run that was killed."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.stack import java
from runtime.stack.parts import MissingPart
from tests.infrastructure import docker, servers
from tests.infrastructure.scratch import new_scratch, remove_abandoned
from tests.waiting import until


@contextmanager
def daemon(path: Path, answer: Callable[[socket.socket], object]) -> Iterator[None]:
    """A socket that accepts one client at a time and does `answer` with it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            try:
                while True:
                    client, _ = listener.accept()
                    with client:
                        answer(client)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_address_that_is_given_wins_and_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@db.example/x")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    postgres, kafka = servers.provide_postgres(), servers.provide_kafka()
    assert (postgres.address, kafka.address) == ("postgresql://somebody:secret@db.example/x", "kafka.example:9092")
    assert "given" in postgres.origin
    assert "secret" not in postgres.origin
    postgres.close()
    kafka.close()


def test_no_broker_is_an_error_and_no_skipped_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java.find_java.cache_clear()
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'nobody'}")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingPart, match="Java"):
        servers.provide_kafka()
    java.find_java.cache_clear()


def test_a_docker_daemon_that_answers_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'd'}")
    assert not docker.daemon_answers()
    with daemon(tmp_path / "d", lambda client: client.recv(65_536) and client.sendall(b"HTTP/1.0 200 OK\r\n\r\nOK")):
        assert docker.daemon_answers()


def test_a_docker_daemon_that_hangs_costs_two_seconds_at_most(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'd'}")
    started = time.monotonic()
    with daemon(tmp_path / "d", lambda client: client.recv(1_000_000) and client.recv(1)):
        assert not docker.daemon_answers()
    # It hangs for ever; what is above the two seconds is this machine's.
    assert time.monotonic() - started < 5 * docker.PROBE_SECONDS


def test_the_folder_of_a_killed_run_is_removed_and_that_of_a_live_one_stays(tmp_path: Path) -> None:
    dead, mine = tmp_path / "casestream-test-dead", new_scratch()
    dead.mkdir()
    (dead / "owner.json").write_text(json.dumps({"pid": 1, "started": "1@another-boot"}))
    (tmp_path / "casestream-test-unknown").mkdir()
    assert remove_abandoned(tmp_path) == [dead]
    assert not dead.exists()
    assert remove_abandoned(mine.parent) == []
    assert mine.exists()
    (mine / "owner.json").unlink()
    mine.rmdir()


async def test_waiting_returns_the_first_true_answer_of_either_kind() -> None:
    answers = iter([0, None, "", 3])

    async def ask() -> object:
        return next(answers)

    assert await until(ask) == 3
    assert await until(lambda: "at once") == "at once"


async def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.01 s for the moon; the last answer was 0"):
        await until(lambda: 0, deadline=0.01, what="the moon")
