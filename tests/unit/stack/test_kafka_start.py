"""When a node counts as started."""

import os
from pathlib import Path

import pytest

from runtime.stack import processes
from runtime.stack.java import Java
from runtime.stack.kafka import BrokerPrograms, KafkaBroker, NodeAddress
from schemas.errors import TransientError


class Answering(KafkaBroker):
    """A node that gives these answers, one each time it is asked. Its process is ours, or none once it has answered all."""

    said: list[bool]

    @property
    def process(self) -> processes.Process | None:
        return processes.identify(os.getpid()) if self.said else None

    def is_ready(self) -> bool:
        return self.said.pop(0) if self.said else False


def node(folder: Path, *answers: bool) -> Answering:
    address = NodeAddress(1, 1, 2)
    programs = BrokerPrograms(Java(Path("java"), "17"), folder)
    made = Answering(folder, folder / "kafka.log", address, (address,), "cluster", programs)
    made.said = list(answers)
    return made


def test_a_node_that_was_ready_is_not_asked_again(tmp_path: Path) -> None:
    """A node of a quorum that comes back whole may answer yes and, a moment later, not know itself yet."""
    flapping = node(tmp_path, False, True, False, False)
    flapping.wait_until_ready()
    assert flapping.said == [False, False]


def test_a_node_whose_process_ends_before_it_answers_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="Kafka node 1 did not answer"):
        node(tmp_path, False, False).wait_until_ready()
