import errno
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrun.errors import RunDirectoryError
from kerasrun.runs.directory import create
from kerasrun.runs.metrics import Table, cut_back, sizes


@pytest.fixture
def table(tmp_path):
    return Table(tmp_path / "metrics.csv")


def test_a_table_is_plain_csv(table):
    table.append({"epoch": 0, "loss": 0.1 + 0.2, "accuracy": np.float32(0.1)})
    table.append({"accuracy": 1, "loss": float("nan"), "epoch": np.int64(1)})
    assert table.path.read_bytes() == (b"epoch,loss,accuracy\n0,0.30000000000000004,0.10000000149011612\n1,nan,1.0\n")
    assert [row["epoch"] for row in table.rows()] == [0, 1]
    assert list(table.rows()[1]) == ["epoch", "loss", "accuracy"]


def test_an_empty_cell_is_no_value(table):
    table.append({"epoch": 1, "loss": 0.5, "val_loss": None})
    table.append({"epoch": 2, "loss": 0.25, "val_loss": 0.125})
    assert table.text() == "epoch,loss,val_loss\n1,0.5,\n2,0.25,0.125\n"
    assert [row["val_loss"] for row in table.rows()] == [None, 0.125]


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_floats_come_back_bit_for_bit(tmp_path_factory, values):
    table = Table(tmp_path_factory.mktemp("table") / "metrics.csv")
    table.rewrite([{"epoch": epoch, "loss": value} for epoch, value in enumerate(values)])
    assert [row["loss"].hex() for row in table.rows()] == [value.hex() for value in values]


def test_cut_and_continued_it_has_the_bytes_of_one_that_never_was(tmp_path):
    whole, cut = Table(tmp_path / "whole.csv"), Table(tmp_path / "cut.csv")
    rows = [{"epoch": epoch, "loss": 1 / (epoch + 1), 'a,"b': 0.1} for epoch in range(4)]
    for row in rows:
        whole.append(row)
    for kept in range(4):
        cut.rewrite([])
        for row in rows[:3]:
            cut.append(row)
        cut.take_back("".join(whole.text().splitlines(keepends=True)[: kept + 1 if kept else 0]))
        for row in rows[kept:]:
            cut.append(row)
        assert cut.path.read_bytes() == whole.path.read_bytes()


def test_no_rows_is_no_file(table):
    assert (table.rows(), table.text()) == ([], "")
    table.take_back("")
    table.append({"epoch": 0})
    table.take_back("")
    assert not table.path.exists()


@pytest.mark.parametrize(
    ("content", "damage"),
    [
        (b"epoch,loss\n1,0.5\n2,0.25\n", None),
        (b"epoch,loss\n1,0.5\n2,0.25\n3,0.1", None),
        (b"epoch,loss\n1,0.5\n2,0.2", "metrics.csv:3 is not what was written"),
        (b"epoch,loss\n1,0.5\n2,0.25", "metrics.csv:3 is not what was written"),
        (b"epoch,loss\r\n1,0.5\r\n2,0.25\r\n", "metrics.csv:1 is not what was written"),
        (b"epoch,loss\n1,0.7\n2,0.25\n", "metrics.csv:2 is not what was written"),
        (b"epoch,loss\n1,0.5\n", "metrics.csv:3 is not what was written"),
        (b"\xff", "metrics.csv:1 is not what was written"),
        (b"", "metrics.csv:1 is not what was written"),
        (None, "metrics.csv is missing"),
    ],
)
def test_a_table_that_does_not_begin_as_it_was_written_is_damaged(table, content, damage):
    if content is not None:
        table.path.write_bytes(content)
    found = table.damage("epoch,loss\n1,0.5\n2,0.25\n")
    assert found == (damage and str(table.path.parent / damage))
    assert table.damage("") is None


@pytest.mark.parametrize("content", ["epoch,loss\n" + 2**21 * "\n", "epoch" + 2**21 * "," + "\n1\n"])
def test_more_cells_than_a_million_epochs_have_are_refused_unread(table, content, monkeypatch):
    table.path.write_text(content)
    monkeypatch.setattr("csv.reader", None)
    for read in (table.rows, lambda: table.of_epoch(1), lambda: table.column("loss")):
        with pytest.raises(RunDirectoryError, match=r"metrics\.csv has more than 2,097,152 cells; .*changed by hand"):
            read()


def test_more_columns_than_any_training_logs_are_refused(table):
    names = [f"m{number}" for number in range(10**4)]
    table.path.write_text("epoch," + ",".join(names) + "\n1" + ",1.5" * len(names) + "\n")
    with pytest.raises(RunDirectoryError, match=r"metrics\.csv has more than 10,000 columns; .*changed by hand"):
        table.of_epoch(1)
    table.path.write_text("epoch," + ",".join(names[1:]) + "\n1" + ",1.5" * len(names[1:]) + "\n")
    assert len(table.rows()[0]) == 10**4


@pytest.mark.long
def test_a_million_epochs_are_read(table):
    table.path.write_text("epoch,loss\n" + "".join(f"{epoch},1.5\n" for epoch in range(1, 10**6 + 1)))
    assert table.of_epoch(10**6) == (10**6, {"epoch": 10**6, "loss": 1.5})


def test_a_line_that_is_still_being_written_is_no_row(table):
    table.append({"epoch": 1, "loss": 0.5})
    with table.path.open("a") as file:
        file.write("2,0.2")
        file.flush()
        assert table.rows() == [{"epoch": 1, "loss": 0.5}]
        assert table.text() == "epoch,loss\n1,0.5\n"


def test_rows_go_to_the_end_of_a_file_that_somebody_else_has_changed(table):
    for epoch in (1, 2):
        table.append({"epoch": epoch, "loss": 0.5})
    Table(table.path).take_back("epoch,loss\n1,0.5\n")
    table.append({"epoch": 3, "loss": 0.25})
    table.path.unlink()
    table.flush()
    table.append({"epoch": 4, "loss": 0.125})
    table.append({"epoch": 5, "loss": 0.0625})
    assert table.text() == "epoch,loss\n4,0.125\n5,0.0625\n"


def test_a_row_with_other_columns_is_refused_and_changes_nothing(table):
    table.append({"epoch": 0, "loss": 1.0})
    before = table.path.read_bytes()
    with pytest.raises(RunDirectoryError, match="has the columns epoch, loss, not epoch, auc"):
        table.append({"epoch": 1, "auc": 1.0})
    assert table.path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "essential"),
    [
        ("epoch,loss\n0,0.5\n1\n", "metrics.csv:3: 1 cells, expected 2"),
        ("epoch,loss\n0,half\n", "metrics.csv:2: could not convert string to float: 'half'"),
        ("epoch,loss\n0.5,1\n", "metrics.csv:2: the epoch '0.5', expected a number"),
        (b"epoch\n\xff\n", "metrics.csv cannot be read"),
        (f"epoch,loss\n1,{'9' * 200_000}\n", "metrics.csv: field larger than field limit"),
        (f"epoch,loss\n{'9' * 400},1\n", "metrics.csv:2: the epoch '999.*…', expected a number"),
        ("epoch,loss\n-1,1\n", "metrics.csv:2: the epoch '-1', expected a number"),
        ("epocj,loss\n0,1\n", "metrics.csv:1: no columns"),
        ("epoch,loss,loss\n0,1,1\n", "metrics.csv:1: no columns"),
    ],
)
def test_a_table_that_was_changed_by_hand_is_refused_with_the_place(table, text, essential):
    table.path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunDirectoryError, match=essential):
        table.rows()


def test_any_operation_that_fails_leaves_the_table_as_it_was_or_with_the_row(table, failing_disk, leftovers):
    for at in itertools.count():
        failing_disk.fail(None)
        table.rewrite([{"epoch": 0}])
        failure = failing_disk.attempt(at, errno.ENOSPC, table.append, {"epoch": 1})
        if not failing_disk.failed:
            break
        assert "No space left" in str(failure)
        assert [row["epoch"] for row in table.rows()] in ([0], [0, 1])
        assert leftovers(table.path.parent) == []
    assert at >= 8


def test_growing_outputs_are_taken_back_to_the_checkpoint(run, names):
    train = run.root / "tensorboard" / "train"
    (train / "plugins").mkdir(parents=True)
    first, second = (train / f"events.out.tfevents.{number}" for number in (1, 2))
    first.write_bytes(b"12345")
    (train / "notes").write_bytes(b"1")
    recorded = sizes(run, train)
    assert recorded == {f"tensorboard/train/{first.name}": 5}
    first.write_bytes(b"1234567")
    second.write_bytes(b"later")
    (train / "notes").write_bytes(b"12")
    assert cut_back(run, train, recorded) == ()
    assert first.read_bytes() == b"12345"
    assert sizes(run, train) == recorded
    assert names(train) == [first.name, "notes", "plugins"]


def test_outputs_that_are_gone_are_reported_and_stop_nothing(run):
    board = run.root / "tensorboard"
    board.mkdir()
    short = "events.out.tfevents.short"
    (board / short).write_bytes(b"123")
    notes = cut_back(run, board, {f"tensorboard/{short}": 5, "tensorboard/events.out.tfevents.gone": 7})
    assert [note.split(".")[-1] for note in notes] == [
        *("short has 3 of 5 bytes; it is not complete any more", "gone is missing; it is not complete any more"),
    ]
    assert (board / short).read_bytes() == b"123"
    assert len(cut_back(run, run.plots, {"plots/events.out.tfevents.a": 1})) == 1
    assert sizes(run, run.plots) == {}


def test_a_single_file_is_cut_back_too(tmp_path):
    run = create(tmp_path, "lenet")
    log = run.root / "log.csv"
    log.write_text("one\n")
    recorded = sizes(run, log)
    log.write_text("one\ntwo\n")
    assert cut_back(run, log, recorded) == ()
    assert log.read_text() == "one\n"
