import pytest

from gnnkit.data.number_text import Notation, choose_notation, is_number, sign_of

NBSP, NARROW, CURLY = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{RIGHT SINGLE QUOTATION MARK}"


def plain(*cells, decimal=None):
    notation = choose_notation([cells], range(1, len(cells) + 1), "t.csv", decimal)
    return [notation.plain(cell) for cell in cells]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "2,25"], ["1.5", "2.25"]),
        (["0,161", "1,161"], ["0.161", "1.161"]),  # no group of thousands begins with 0
        (["1234,567", "1,161"], ["1234.567", "1.161"]),
        (["950", "1,161", "1,201"], ["950", "1161", "1201"]),
        (["1", "1,161", "2"], ["1", "1.161", "2"]),
        (["950", "1.161", "1.201"], ["950", "1161", "1201"]),
        (["1.161", "2.043"], ["1.161", "2.043"]),
        (["1,899.60", "950"], ["1899.60", "950"]),
        (["1.899,60", "1.161"], ["1899.60", "1161"]),
        (["1,234,567", "1,161"], ["1234567", "1161"]),
        (["12,34,567"], ["1234567"]),
        (["1.234.567", "12,5"], ["1234567", "12.5"]),
        (["1 161", f"1{NBSP}234,5", f"12{NARROW}000"], ["1161", "1234.5", "12000"]),
        (["1'161.5", f"1{CURLY}234"], ["1161.5", "1234"]),
        (["$1,041", "$987"], ["1041", "987"]),
        (["1.041,50 €", "-3,25 €"], ["1041.50", "-3.25"]),
        (["45 %", "4.5%"], ["45", "4.5"]),
        (["\N{MINUS SIGN}3.5", "+4", "-,5e-3"][:2], ["-3.5", "4"]),
        (["1,161e3", "2"], ["1.161e3", "2"]),
    ],
)
def test_the_numbers_of_a_file_tell_how_they_are_written(cells, expected):
    assert [float(cell) for cell in plain(*cells)] == [float(cell) for cell in expected]


def test_what_cannot_be_told_is_asked_for():
    with pytest.raises(
        ValueError, match=r"'1,161' on line 1 can be 1161 or 1\.161, .*decimal '\.' or ',' \(--decimal\)"
    ):
        plain("1,161", "2,043")
    assert plain("1,161", "2,043", decimal=",") == ["1.161", "2.043"]
    assert plain("1,161", "2,043", decimal=".") == ["1161", "2043"]
    with pytest.raises(ValueError, match=r"'1,161' on line 1 can be 1161"):
        plain("1,161", "2.043")  # both marks, three digits behind each
    with pytest.raises(ValueError, match=r"'1,5' on line 1 has a comma before its decimals, '2\.5' on line 2 a point"):
        plain("1,5", "2.5")


def test_a_mark_does_not_mean_two_things():
    columns = [["1.161", "1.020", "999", "987"], ["2.5", "3.25", "1", "4.5"]]
    with pytest.raises(
        ValueError, match=r"'1\.161' on line 2 seems to be 1161, as the numbers around it, but others have"
    ):
        choose_notation(columns, [2, 3, 4, 5], "t.csv")
    assert choose_notation(columns, [2, 3, 4, 5], "t.csv", ".") == Notation(".")
    heavy = [["1.161", "950", "2.5", "0.75"], ["2.5", "3.25", "1", "4.5"]]  # decimals of its own: a jump is a jump
    assert choose_notation(heavy, [2, 3, 4, 5], "t.csv") == Notation(".")


def test_a_number_in_another_notation_stays_as_it_is():
    assert Notation().plain("1,5") == "1,5"
    assert Notation(",").plain("1.5") == "1.5"
    assert Notation(",", ".").plain("1.5") == "1.5"  # no group of thousands
    assert Notation(",", ".").plain("12.34.567,5") == "12.34.567,5"


@pytest.mark.parametrize("cell", ["2024-01-01", "12:30", "1.2.3", "1,2,3", "-", "3 apples", "1..5", ".", "1/2", "0x1z"])
def test_what_is_no_number(cell):
    assert not is_number(cell)


def test_signs_beside_numbers():
    assert [sign_of(cell) for cell in ("$3", "3 €", "45 %", "45", "%", "ON")] == ["$", "€", "%", "", "", ""]


def test_what_is_said_of_decimals_is_not_overruled():
    # "1.161" would be 1161, and "12.25" beside it 12.25.
    with pytest.raises(ValueError, match=r"'12\.25' on line 2 is not written with ',' before its decimals, as decimal"):
        plain("1.161", "12.25", decimal=",")
    with pytest.raises(ValueError, match=r"'1,5' on line 2 is not written with '\.' before its decimals"):
        plain("2", "1,5", decimal=".")
    assert plain("1.161", "12,25", decimal=",") == ["1161", "12.25"]
