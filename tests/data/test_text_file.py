from gnnkit.data import read_own


def values(folder, text):
    path = folder / "series.csv"
    path.write_text(text)
    return read_own(path).values[..., 0].nan_to_num(nan=-1.0).tolist()


def test_rows_of_missing_values_stay_rows(tmp_path):
    assert values(tmp_path, "a,b\n1,2\n,\n3,4\n,\n") == [[1, 2], [-1, -1], [3, 4], [-1, -1]]
    assert values(tmp_path, "a\n1\n\n3\n4\n\n") == [[1], [-1], [3], [4]]
    assert values(tmp_path, "a,b\n1,2\n\n3,4\n5,6\n\n\n") == [[1, 2], [3, 4], [5, 6]]  # lines without a cell
