from __future__ import annotations

import csv
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.importers import records
from features.importers.reading import read_delimited, read_lines, read_plain
from recsys.errors import InputError

CELLS = st.text(st.sampled_from('ab,"\n é♫'), max_size=6)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=20),
    batch=st.integers(1, 7),
    block=st.sampled_from([1, 9, 99]),
)
def test_delimited_reads_what_csv_wrote(
    rows: list[tuple[str, str, str]], batch: int, block: int, tmp_path: Path
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("a", "b", "c"), *rows])
    path = tmp_path / "t.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", block)
        frames = list(read_delimited(path, ["a", "b", "c"], batch_rows=batch))
    assert all(len(frame) <= batch for frame in frames)

    read = [row for frame in frames for row in frame.select("a", "b", "c").rows()]
    assert read == [tuple(cell if cell.strip() else None for cell in row) for row in rows]
    lines = path.read_bytes().decode().split("\n")
    for frame in frames:
        for line, row in frame.select("_line", "_row").iter_rows():
            assert lines[line - 1] == row.split("\n")[0]


def test_lines_count_through_quoted_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n1,"x\r\n\r\ny"\r\n\r\n2,z\r\n3\r\n')
    rows = pl.concat(read_delimited(path, ["a", "b"], batch_rows=2))
    assert rows.select("a", "b", "_line", "_reason").rows() == [
        ("1", "x\r\n\r\ny", 2, None),
        ("2", "z", 6, None),
        ("3", None, 7, "1 fields, not 2"),
    ]


def test_a_quote_that_stays_open_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a\nfine\n"open\n' + "x" * 200_000)
    with pytest.raises(InputError, match=r"t\.csv:3: .*never be closed"):
        list(read_delimited(path))


def test_another_header_is_no_file_of_this_format(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("x\ty\n1\t2\n")
    for reader in (read_plain(path, ["a", "b"]), read_delimited(path, ["a", "b"], separator="\t")):
        with pytest.raises(InputError, match=r"t\.tsv:1: the first line must be 'a\\tb'"):
            list(reader)


def test_plain_keeps_quotes_and_inner_carriage_returns(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b'"a"\tb\rc\r\n\nd\te\tf\n')
    rows = pl.concat(read_plain(path, ["x", "y"], header=False))
    assert rows.select("x", "y", "_line", "_reason").rows() == [
        ('"a"', "b\rc", 1, None),
        ("d", "e", 3, "3 fields, not 2"),
    ]


def test_unknown_bytes_become_the_replacement_character(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"m\xfasica\n")
    assert pl.concat(read_lines(path))["_row"].to_list() == ["m\ufffdsica"]
    assert pl.concat(read_lines(path, encoding="latin-1"))["_row"].to_list() == ["música"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.sampled_from("ab\né♫\r"), max_size=60),
    block=st.integers(1, 9),
    batch=st.integers(1, 5),
    skip=st.integers(0, 3),
)
def test_lines_are_the_same_however_the_file_is_cut(
    text: str, block: int, batch: int, skip: int, tmp_path: Path
) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", block)
        frames = list(read_lines(path, skip=skip, batch_rows=batch))

    numbered = enumerate(text.split("\n"), start=1)
    expected = [(n, line.strip("\n").rstrip("\r")) for n, line in numbered if n > skip and line.rstrip("\r")]
    assert [row for frame in frames for row in frame.select("_line", "_row").iter_rows()] == expected
    assert all(len(frame) <= batch for frame in frames)


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", lambda data: pa.compress(data, codec="zstd", asbytes=True)),
    ],
)
def test_compressed_files_are_read_as_they_stand(ending: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    data = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(20_000))
    path = tmp_path / f"t.csv{ending}"
    path.write_bytes(pack(data))
    for rows in (read_plain(path, ["a", "b"], separator=","), read_delimited(path, ["a", "b"])):
        read = pl.concat(rows)
        assert read.select("a", "b", "_line", "_file").row(-1) == ("19999", "x", 20_001, f"t.csv{ending}")
    path.write_bytes(pack(data)[:-20])
    with pytest.raises(InputError, match=rf"t\.csv\{ending}: cannot be read to its end"):
        list(read_lines(path))


@given(st.text(st.sampled_from("a ,é\n"), max_size=40).map(lambda text: text.replace("\n", "\r\n")))
def test_splitting_a_block_finds_what_the_standard_library_finds(text: str) -> None:
    quoted, _, rest = records._quoted(text, Path("t.csv"), 7, ",")
    assert rest == ""
    assert records._plain(text, 7, ",").equals(quoted)


def test_a_carriage_return_alone_ends_a_row_too(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\r1,2\r\r3,4")
    assert pl.concat(read_delimited(path)).select("a", "b", "_line").rows() == [("1", "2", 2), ("3", "4", 4)]


@pytest.mark.parametrize(
    ("data", "said"),
    [("a,b\n1,2\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"), (b"\0" * 3_000_000, "more than 1 MiB")],
)
def test_what_is_no_text_in_lines_is_refused(
    data: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 1 << 18)
    monkeypatch.setattr(records, "LONGEST_LINE_BYTES", 1 << 20)
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    for rows in (read_plain(path, ["a", "b"], separator=","), read_delimited(path, ["a", "b"])):
        with pytest.raises(InputError, match=rf"t\.csv: .*{said}"):
            list(rows)
