"""The ledger's copy outside both databases: appended, synced, never taken for more than it says."""

import multiprocessing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from runtime.keys.ledger_file import LedgerEntry, LedgerFile, ledger_file, missing_from
from runtime.settings import Settings
from schemas.errors import ConfigurationError


def entry(subject: str, reason: str = "asked to") -> LedgerEntry:
    return LedgerEntry("acme", subject, UUID(int=7), datetime(2026, 11, 21, tzinfo=UTC), "cli:an", reason)


def test_what_was_appended_is_read_and_each_subject_stands_once(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "deep" / "ledger.jsonl")
    assert file.read() == []
    assert file.append([entry("a"), entry('ü\n"x')]) == 2
    assert file.append([entry("a", "another reason"), entry("b")]) == 1
    assert file.read() == [entry("a"), entry('ü\n"x'), entry("b")]
    assert missing_from([entry("a"), entry("c")], file.read()) == [entry("c")]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_a_crash_cut_short_is_passed_over_and_cut_off_by_the_next(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    file = LedgerFile(path)
    file.append([entry("a"), entry("b")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    # Without its newline alone the line is whole.
    expected = ["a", "b"] if cut == 1 else ["a"]
    assert [one.subject for one in file.read()] == expected
    file.append([entry("c")])
    assert [one.subject for one in file.read()] == [*expected, "c"]
    assert file.append([entry("b")]) == (0 if cut == 1 else 1)


def test_a_broken_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    LedgerFile(path).append([entry("a")])
    path.write_bytes(b"canary\n" + path.read_bytes())
    with pytest.raises(ConfigurationError, match="line 1 is no entry") as raised:
        LedgerFile(path).read()
    assert "canary" not in str(raised.value)


def test_a_file_that_cannot_be_written_is_told_before_it_matters(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        LedgerFile(tmp_path / "file" / "ledger.jsonl").require_writable()
    LedgerFile(tmp_path / "new" / "ledger.jsonl").require_writable()


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(path, name)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(LedgerFile(path).read()) == 4 * 20


def _append_many(path: Path, name: str) -> None:
    for number in range(20):
        LedgerFile(path).append([entry(f"{name}{number}")])


def test_each_main_database_has_a_file_of_its_own_unless_one_is_named(tmp_path: Path) -> None:
    given = {"DATABASE_URL": "postgresql://db/one", "KAFKA_BOOTSTRAP_SERVERS": "a:1", "CASESTREAM_HOME": str(tmp_path)}
    ledger_file(Settings.load(given)).append([entry("a")])
    assert (tmp_path / "keys" / "shredded-one.jsonl").exists()
    assert ledger_file(Settings.load({**given, "DATABASE_URL": "postgresql://db/two"})).read() == []
    named = str(tmp_path / "keys" / "shredded-one.jsonl")
    assert len(ledger_file(Settings.load({**given, "CASESTREAM_KEYS__LEDGER_FILE": named})).read()) == 1
