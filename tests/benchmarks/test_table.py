from benchmarks._rounds import Spread
from benchmarks._table import machine, markdown_table, print_table, with_spread


def test_table_is_markdown_with_numbers_to_the_right():
    assert markdown_table(["", "images/s"], [["fit", "9"], ["kerasrun", "12,345"]]) == (
        "|          | images/s |\n| -------- | -------: |\n| fit      |        9 |\n| kerasrun |   12,345 |"
    )


def test_spread_becomes_two_cells():
    assert with_spread(Spread(1234.5, 1000.0, 2000.25), ",.0f") == ("1,234", "1,000–2,000")


def test_machine_names_cores_and_versions():
    described = machine()
    assert " cores, " in described
    for name in ("kerasrun", "python", "keras", "tensorflow", "numpy"):
        assert f"{name} " in described


def test_printed_table_has_title_and_machine(capsys):
    print_table("Speed", ["", "s"], [["a", "1"]])
    printed = capsys.readouterr().out
    assert printed.startswith("### Speed\n\n")
    assert machine() in printed
