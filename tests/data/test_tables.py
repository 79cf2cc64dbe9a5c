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
    path.write_text("1,5;x;-2,5e3\n,5;01.02.2024;3\n")
    assert read_table(path).cells == [["1.5", "x", "-2.5e3"], [".5", "01.02.2024", "3"]]
    path.write_text("1,500;2.5\n1,600;3\n")  # thousands
    assert read_table(path).cells[0] == ["1,500", "2.5"]
    path.write_text("1,5\n2,5\n")
    assert read_table(path).cells[0] == ["1", "5"]


@pytest.mark.parametrize(("cell", "answer"), [("1", True), ("-1e5", True), ("", True), ("NaN", True), ("x", False)])
def test_is_number(cell, answer):
    assert is_number(cell) is answer
