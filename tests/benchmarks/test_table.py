from benchmarks._rounds import Spread
from benchmarks._table import DURATIONS, SPEEDS, durations, machine, markdown_table, print_table, speeds, with_spread


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


def test_speeds_are_compared_with_the_first_contender():
    rows = speeds({"kerasrun": [20.0, 40.0, 30.0], "fit": [10.0, 10.0, 20.0]})
    assert rows == [["kerasrun", "30", "20–40", "", ""], ["fit", "10", "10–20", "3.00", "1.50–4.00"]]
    assert len(SPEEDS) == len(rows[0])


def test_of_durations_the_longer_is_the_slower():
    rows = durations({"kerasrun": [2.0, 4.0, 3.0], "fit": [6.0, 6.0, 9.0]}, ".1f")
    assert rows == [["kerasrun", "3.0", "2.0–4.0", "", ""], ["fit", "6.0", "6.0–9.0", "2.00", "1.50–3.00"]]
    assert len(DURATIONS) == len(rows[0])


def test_printed_table_has_its_title_above(capsys):
    print_table("Speed", ["", "seconds"], [["fit", "1"]])
    table = "|     | seconds |\n| --- | ------: |\n| fit |       1 |"
    assert capsys.readouterr().out == f"### Speed\n\n{table}\n\n"
