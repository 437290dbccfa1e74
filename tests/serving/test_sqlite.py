"""The SQLite file that processes share: opened by all at once, and without a byte of what was deleted."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recsys.errors import InputError, SegueError
from serving.sqlite import SqliteFile

TABLES = ["CREATE TABLE rows (name TEXT PRIMARY KEY, body BLOB NOT NULL)"]


class AwayError(SegueError):
    """The error that the tests ask for."""


def opened(path: Path, version: int = 1, timeout_s: float = 5.0) -> SqliteFile:
    return SqliteFile(path, TABLES, version=version, synchronous="NORMAL", timeout_s=timeout_s, unavailable=AwayError)


def test_a_new_file_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    def write(number: int) -> None:
        file = opened(tmp_path / "new" / "rows.db")
        with file.transaction() as writer:
            writer.execute("INSERT INTO rows VALUES (?, ?)", (f"row{number}", b""))
        file.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert opened(tmp_path / "new" / "rows.db").read("SELECT count(*) FROM rows") == [(8,)]


def test_threads_keep_no_files_open(tmp_path: Path) -> None:
    file = opened(tmp_path / "rows.db")

    def files() -> int:
        return sum(str(tmp_path) in str(link.resolve()) for link in Path("/proc/self/fd").iterdir())

    before = files()
    for _ in range(20):  # each in a thread of its own
        with ThreadPoolExecutor(1) as pool:
            pool.submit(file.read, "SELECT name FROM rows").result()
    assert files() == before
    file.close()
    assert files() == 0


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    file = opened(tmp_path / "rows.db")
    with pytest.raises(ValueError, match="stop"), file.transaction() as writer:
        writer.execute("INSERT INTO rows VALUES ('a', x'')")
        assert file.read("SELECT name FROM rows") == [("a",)]
        raise ValueError("stop")
    assert file.read("SELECT name FROM rows") == []


def test_faults_come_as_the_error_asked_for(tmp_path: Path) -> None:
    file = opened(tmp_path / "rows.db")
    with pytest.raises(AwayError, match=r"rows\.db: no such column: missing"):
        file.read("SELECT missing FROM rows")
    with pytest.raises(AwayError, match=r"rows\.db: no such table: cats"), file.transaction() as writer:
        writer.execute("DELETE FROM cats")
    (tmp_path / "words.db").write_text("these are words, and not a database" * 100)
    with pytest.raises(AwayError, match=r"words\.db: file is not a database"):
        opened(tmp_path / "words.db")


def test_a_lock_is_waited_for_and_no_longer(tmp_path: Path) -> None:
    one, other = opened(tmp_path / "rows.db"), opened(tmp_path / "rows.db", timeout_s=0.05)
    with one.transaction(), pytest.raises(AwayError, match="locked"), other.transaction():
        pass
    with other.transaction() as writer:
        writer.execute("INSERT INTO rows VALUES ('a', x'')")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "rows.db", version=1)
    with pytest.raises(InputError, match=r"rows\.db: of version 1; this Segue reads and writes version 2"):
        opened(tmp_path / "rows.db", version=2)


def test_wiped_rows_leave_no_bytes(tmp_path: Path) -> None:
    """A row that was moved when a page was split leaves a copy behind, which its deletion does not reach."""
    path, chance = tmp_path / "rows.db", random.Random(15)
    file = opened(path)
    names = [f"name-{i:03}-{'x' * chance.randrange(120)}" for i in range(400)]
    for name in chance.sample(names, len(names)):
        with file.transaction() as writer:
            writer.execute("INSERT INTO rows VALUES (?, ?)", (name, name.encode() * chance.randrange(6)))
    gone, kept = [name[:8].encode() for name in names[::2]], [name[:8].encode() for name in names[1::2]]
    with file.transaction() as writer:
        writer.executemany("DELETE FROM rows WHERE name = ?", [(name,) for name in names[::2]])
    file.flush()
    assert any(text in path.read_bytes() for text in gone), "deleting alone leaves some: this test could fail"
    file.wipe(*gone)
    assert not [text for text in gone if text in path.read_bytes()]
    assert all(text in path.read_bytes() for text in kept)
    assert (tmp_path / "rows.db-wal").stat().st_size == 0


def test_a_reader_holds_up_no_writer_and_is_waited_for_by_wipe(tmp_path: Path) -> None:
    file = opened(tmp_path / "rows.db", timeout_s=0.05)
    with file.transaction() as writer:
        writer.executemany("INSERT INTO rows VALUES (?, x'')", [(f"row{i}",) for i in range(9)])
    with file.reader() as reader:
        rows = reader.execute("SELECT name FROM rows")
        rows.fetchone()
        with file.transaction() as writer:
            writer.execute("DELETE FROM rows WHERE name = 'row8'")
        with pytest.raises(AwayError, match="readers hold"):
            file.wipe(b"row8")
        assert len(rows.fetchall()) == 8
    file.wipe(b"row8")
    assert b"row8" not in (tmp_path / "rows.db").read_bytes()
