"""Finding Java, jars and PostgreSQL: what counts, and what is said when it is not there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.stack import java, kafka_jars, postgres_programs
from runtime.stack.doctor import examine
from runtime.stack.home import Home
from runtime.stack.kafka import new_cluster_id
from runtime.stack.parts import MissingPart
from runtime.stack.ports import free_ports, is_free


@pytest.fixture(autouse=True)
def forget_what_was_found() -> Iterator[None]:
    java.find_java.cache_clear()
    postgres_programs.find_postgres.cache_clear()
    yield
    java.find_java.cache_clear()
    postgres_programs.find_postgres.cache_clear()


def program(path: Path, prints: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{prints}' >&2\n")
    path.chmod(0o755)
    return path


def only_this_java(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(home))
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.parametrize("version", ["17.0.15", "21", "25.0.1"])
def test_a_java_of_17_or_newer_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    found = program(tmp_path / "bin" / "java", f'openjdk version "{version}" 2025-04-15')
    only_this_java(monkeypatch, tmp_path)
    assert java.find_java() == java.Java(found, version)


def test_an_older_java_is_named_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "java", 'java version "1.8.0_202"')
    only_this_java(monkeypatch, tmp_path)
    with pytest.raises(MissingPart, match=r"found 1\.8\.0_202"):
        java.find_java()


def test_a_missing_java_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_this_java(monkeypatch, tmp_path)
    with pytest.raises(MissingPart, match="openjdk-17"):
        java.find_java()


def test_jars_count_only_when_the_stamp_names_them_all(tmp_path: Path) -> None:
    assert kafka_jars.missing_jars(tmp_path) is None
    folder = kafka_jars.jars_folder(tmp_path)
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"123")
    (folder / "stamp.json").write_text(json.dumps({"a.jar": 3, "b.jar": 7}))
    assert kafka_jars.missing_jars(tmp_path) == ["b.jar"]
    (folder / "b.jar").write_bytes(b"truncat")
    assert kafka_jars.missing_jars(tmp_path) == []
    (folder / "b.jar").write_bytes(b"trunc")
    assert kafka_jars.missing_jars(tmp_path) == ["b.jar"]


def test_a_cluster_id_is_never_read_as_an_option() -> None:
    ids = {new_cluster_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(one) == 22 and not one.startswith("-") for one in ids)


def test_ports_are_distinct_and_free() -> None:
    ports = free_ports(6)
    assert len(set(ports)) == 6
    assert all(is_free(port) for port in ports)


def test_doctor_on_a_bare_machine_names_every_missing_part_and_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_this_java(monkeypatch, tmp_path)
    findings = {finding.part: finding for finding in examine(Home(tmp_path / "home", tmp_path / "cache"))}
    broken = {part for part, finding in findings.items() if not finding.sound}
    assert broken == {"java", "maven", "kafka jars", "stack"}
    assert all(findings[part].remedy for part in broken)
    assert not (tmp_path / "home").exists(), "doctor only looks"
