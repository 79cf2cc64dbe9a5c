import numpy as np
import pytest

from gnnkit.data.tables import is_number, numbers, read_table


def test_cells_lines_and_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('\ufeff 1 , "2.5"\r\nNA,-3e2\r\n\r\n', encoding="utf-8")
    table = read_table(path)
    assert table.lines == [1, 2]
    assert table.cells[0][0] == "1"
    assert np.nan_to_num(numbers(table.rows_from(1)), nan=-1.0).tolist() == [[-1.0, -300.0]]
    assert table.columns_from(1).width == 1


def test_a_wrong_cell_is_named_by_its_line_in_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,x\n")
    with pytest.raises(ValueError, match=r"t.csv: line 3, column 2: 'x' is not a number"):
        numbers(read_table(path).rows_from(1))
    with pytest.raises(ValueError, match=r"t.csv: line 3, column 2: 'x' is not a number"):
        numbers(read_table(path).rows_from(1).columns_from(1))


def test_decimal_commas_are_read_where_they_can_be_nothing_else(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("1,5;-2,5e3\n,5;3\n")
    assert numbers(read_table(path)).tolist() == [[1.5, -2500.0], [0.5, 3.0]]
    path.write_text("1,500;2.5\n1,600;3\n")
    notes = []
    assert numbers(read_table(path), notes).tolist() == [[1500.0, 2.5], [1600.0, 3.0]]
    assert notes == ["t.csv: commas stand between thousands: '1,500' is read as 1500."]
    path.write_text("1,5\n2,5\n")
    assert read_table(path).cells[0] == ["1", "5"]


@pytest.mark.parametrize("mark", ["-", "*", "..", "?", "n.a.", "#DIV/0!", "\N{EM DASH}", "missing"])
def test_marks_of_missing_values_are_read_with_a_word(tmp_path, mark):
    path = tmp_path / "t.csv"
    path.write_text(f"1,{mark}\n2,3\n", encoding="utf-8")
    notes = []
    assert np.nan_to_num(numbers(read_table(path), notes), nan=-1.0).tolist() == [[1.0, -1.0], [2.0, 3.0]]
    assert notes == [f"t.csv: {mark!r} (1 ×) is read as missing."]


def test_what_the_user_calls_missing_is_missing(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("1,-200\nM,3\n-200.0,4\n")
    values = numbers(read_table(path), missing=[-200, "m"])
    assert np.nan_to_num(values, nan=-1.0).tolist() == [[1.0, -1.0], [-1.0, 3.0], [-1.0, 4.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n1,ON\n2,ON\n",
            r"column 2 \('b'\) holds text like 'ON' on line 2 and no numbers; .*leave column 'b' out",
        ),
        ("a,b\n1,north\n2,south\n", r"column 2 \('b'\) holds text like 'north' on line 2 and no numbers; leave column"),
        ("a;b\n1;2,041\n2;3,017\n", r"'2,041' on line 2 can be 2041 or 2.041, and no other number tells which; say"),
        ("a;b\n1;2,5\n2;3.5\n", r"'2,5' on line 2 has a comma before its decimals, '3.5' on line 3 a point"),
        ("a,b\n1,45%\n2,30\n", r"line 3, column 2 \('b'\): '30' beside '45%' on line 2; write all numbers of a column"),
        ("a,b\n1,2\n3,M\n4,5\n", r"line 3, column 2 \('b'\): 'M' is not a number; .*--missing-value M"),
    ],
)
def test_a_column_that_cannot_be_read_is_named(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    table = read_table(path)
    with pytest.raises(ValueError, match=message):
        numbers(table.rows_from(1).named(table.cells[0]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,161,2\n3,4\n5,6\n", "line 2 has 3 cells, but line 1 has 2; .*commas must stand in quotes"),
        ("Report\na,b\n1,2\n3,4\n", "line 1 has 1 cells, but line 2 has 2; .*take lines above the names out"),
        ("a,b\n1,2\n3,4\nSource: me\n", "line 4 has 1 cells, but line 1 has 2; .*take out lines that are no rows"),
    ],
)
def test_the_line_that_is_odd_is_blamed(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(path)


@pytest.mark.parametrize(("cell", "answer"), [("1", True), ("-1e5", True), ("", True), ("NaN", True), ("x", False)])
def test_is_number(cell, answer):
    assert is_number(cell) is answer
