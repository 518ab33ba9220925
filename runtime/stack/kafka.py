"""Kafka brokers as plain processes: one for the local stack, three for the tests of broker failures.

Every node is broker and controller in one (combined KRaft mode). Owns the nodes' data folders, configurations and pid
files. Never creates topics: `casestream topics apply` does, and automatic creation is off.
"""

import base64
import logging
import os
import signal
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from runtime.stack import processes
from runtime.stack.asking import ask
from runtime.stack.home import PROJECT
from runtime.stack.java import Java
from runtime.stack.logs import tail
from runtime.stack.parts import MissingPart
from runtime.stack.ports import LOOPBACK, answers
from schemas.errors import TransientError

READY_SECONDS = 60.0
_LOG4J = PROJECT / "deploy" / "local" / "kafka" / "log4j2.properties"
# A combined node that hands over its partitions while the quorum goes down with it may wait for ever: hence the bound.
STOP_STEPS = ((signal.SIGTERM, 10.0),)
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    # Topics take 4 MiB records; a batch is a little larger than its record.
    "message.max.bytes": "5242880",
    "replica.fetch.max.bytes": "5242880",
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker that comes back is refused until the session of its former life has expired: 9 s by default.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # The default of 50 makes the first consumer of a fresh broker wait while they are created.
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "4",
    # Preallocated per partition, and we have hundreds; enough for the default segment of 1 GiB.
    "log.index.size.max.bytes": "2097152",
}


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """One node's number and its two ports on loopback."""

    node_id: int
    broker_port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.broker_port}"


@dataclass(frozen=True, slots=True)
class BrokerPrograms:
    """What runs a broker: a Java, the folder of jars, and the heap's limit."""

    java: Java
    jars: Path
    heap: str = "512m"

    def command(self, log: Path, main: str, *arguments: str) -> tuple[str, ...]:
        return (
            str(self.java.program),
            f"-Xmx{self.heap}",
            # One small broker beside everything else: the serial collector needs the fewest threads and bytes.
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={_LOG4J}",
            f"-Dcasestream.kafka.log={log}",
            "-cp",
            f"{self.jars}/*",
            main,
            *arguments,
        )


@dataclass
class KafkaBroker:
    """One node in `folder` of the quorum `voters`."""

    folder: Path
    log: Path
    address: NodeAddress
    voters: tuple[NodeAddress, ...]
    cluster_id: str
    programs: BrokerPrograms
    settings: Mapping[str, str] = field(default_factory=dict)
    tied: bool = False

    @property
    def pid_file(self) -> Path:
        return self.folder / "kafka.pid"

    @property
    def console(self) -> Path:
        """What the JVM itself says (it cannot start, it ran out of memory), outside the broker's own log."""
        return self.log.with_suffix(".out")

    @property
    def process(self) -> processes.Process | None:
        return processes.running(self.pid_file)

    def launch(self) -> None:
        """Starts the node without waiting for it; twice is harmless. A quorum's nodes must be launched together."""
        if self.process:
            return
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._write_properties(data)
        if not (data / "meta.properties").exists():
            self._format()
        command = self.programs.command(self.log, "kafka.Kafka", str(self._properties))
        tie = signal.SIGKILL if self.tied else None
        launch = processes.Launch(command, self.console, self.folder, dict(os.environ), tie=tie)
        processes.write_pid_file(self.pid_file, processes.spawn(launch))

    def is_ready(self) -> bool:
        """The node answers a metadata request and counts itself among the live brokers."""
        return answers(self.address.broker_port) and self.address.node_id in ask(live_brokers(self.address.bootstrap))

    def wait_until_ready(self) -> None:
        """Waits for one answer, and asks no second time: while a whole quorum comes back, a node that was ready may for a
        moment not know itself, until all have registered anew. Raises TransientError."""
        seen: list[bool] = []

        def settled() -> bool:
            seen.append(self.is_ready())
            return seen[-1] or not self.process

        processes.wait_for(settled, READY_SECONDS)
        if not seen[-1]:
            raise TransientError(
                f"Kafka node {self.address.node_id} did not answer on {self.address.bootstrap}. "
                f"Its log {self.log} ends with:\n{tail(self.log)}\n{tail(self.console)}"
            )

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _write_properties(self, data: Path) -> None:
        copies = min(3, len(self.voters))
        own = {
            "node.id": str(self.address.node_id),
            "controller.quorum.voters": ",".join(f"{v.node_id}@{LOOPBACK}:{v.controller_port}" for v in self.voters),
            "listeners": f"PLAINTEXT://{self.address.bootstrap},CONTROLLER://{LOOPBACK}:{self.address.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address.bootstrap}",
            "log.dirs": str(data),
            "default.replication.factor": str(copies),
            "min.insync.replicas": str(max(1, copies - 1)),
            "offsets.topic.replication.factor": str(copies),
            "transaction.state.log.replication.factor": str(copies),
            "transaction.state.log.min.isr": str(max(1, copies - 1)),
            "share.coordinator.state.topic.replication.factor": str(copies),
            "share.coordinator.state.topic.min.isr": str(max(1, copies - 1)),
        }
        lines = [f"{name}={value}" for name, value in {**SETTINGS, **own, **self.settings}.items()]
        self._properties.write_text("\n".join(lines) + "\n")

    def _format(self) -> None:
        # With static voters in server.properties the tool wants neither --standalone nor --initial-controllers.
        arguments = ("format", "--cluster-id", self.cluster_id, "--config", str(self._properties))
        command = self.programs.command(self.log, "kafka.tools.StorageTool", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-1000:]
            raise MissingPart(f"formatting Kafka's storage in {self.folder} failed: {said}", "casestream doctor")


@dataclass
class KafkaCluster:
    """The nodes of one quorum, by number: a single one is a cluster of one."""

    nodes: dict[int, KafkaBroker]

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(node.address.bootstrap for node in self.nodes.values())

    def start(self, node: int | None = None) -> None:
        """Starts one node, or all, and returns when each answers. Twice is harmless."""
        chosen = self._chosen(node)
        for broker in chosen:
            broker.launch()
        for broker in chosen:
            broker.wait_until_ready()

    def kill(self, node: int | None = None) -> None:
        """SIGKILL to one node or to all at once, as a crash."""
        processes.end(_live(self._chosen(node)), ())

    def stop(self, node: int | None = None) -> None:
        """Asks one node or all at once to end, and kills what does not within ten seconds."""
        chosen = self._chosen(node)
        processes.end(_live(chosen), STOP_STEPS)
        for broker in chosen:
            broker.pid_file.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        return all(broker.is_ready() for broker in self.nodes.values())

    def _chosen(self, node: int | None) -> list[KafkaBroker]:
        return list(self.nodes.values()) if node is None else [self.nodes[node]]


def build_cluster(
    folder: Path,
    logs: Path,
    addresses: Iterable[NodeAddress],
    cluster_id: str,
    programs: BrokerPrograms,
    settings: Mapping[str, str] | None = None,
    tied: bool = False,
) -> KafkaCluster:
    """The cluster with one node per address, each in its own folder `node-<n>`."""
    voters = tuple(addresses)
    return KafkaCluster(
        {
            voter.node_id: KafkaBroker(
                folder / f"node-{voter.node_id}",
                logs / f"kafka-{voter.node_id}.log",
                voter,
                voters,
                cluster_id,
                programs,
                settings or {},
                tied,
            )
            for voter in voters
        }
    )


def new_cluster_id() -> str:
    """A cluster id as Kafka wants it: 16 bytes in URL-safe base64, not starting with a dash (it would be an option)."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


async def live_brokers(bootstrap: str) -> set[int]:
    """The numbers of the brokers that a node's metadata answer lists; empty when it does not answer."""
    # aiokafka reports every failed attempt as an error of its own; here a failure is an expected answer.
    client_log = logging.getLogger("aiokafka")
    before = client_log.level
    client_log.setLevel(logging.CRITICAL)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        description = await admin.describe_cluster()
        return {int(broker["node_id"]) for broker in description["brokers"]}
    except (KafkaError, OSError, TimeoutError):
        return set()
    finally:
        await admin.close()
        client_log.setLevel(before)


def _live(brokers: Iterable[KafkaBroker]) -> list[processes.Process]:
    return [process for broker in brokers if (process := broker.process)]
