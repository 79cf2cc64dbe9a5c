import pytest
import torch

from gnnkit.data import TextWindows, read_text, split_text, text_digest


def test_reading_makes_line_ends_alike_and_drops_the_mark(tmp_path):
    path = tmp_path / "book.txt"
    path.write_bytes("\ufeffOne\r\ntwo\rthree\nÆ“”".encode())
    assert read_text(path) == "One\ntwo\nthree\nÆ“”"
    path.write_bytes("café".encode("latin-1"))
    assert read_text(path, encoding="latin-1") == "café"
    path.write_bytes("wide".encode("utf-16"))
    for name in ("utf-16", "utf16", "UTF_16", "u16"):
        assert read_text(path, encoding=name) == "wide"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "book.txt is empty; give a text of some thousand characters"),
        ("wide".encode("utf-16"), "book.txt begins like UTF-16; name its encoding: utf-16"),
        (b"ab\0cd", "book.txt is binary, not text: byte 3 is 0x00"),
        (b"two\nlines caf\xe9", r"book.txt is not utf-8: byte 14 \(line 2\) is 0xe9; save it as UTF-8, or name its"),
    ],
)
def test_files_that_are_no_text(tmp_path, content, message):
    (tmp_path / "book.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_text(tmp_path / "book.txt")


def test_files_that_are_not_there_and_encodings_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such text file"):
        read_text(tmp_path / "book.txt")
    with pytest.raises(ValueError, match="is a folder; give a text file"):
        read_text(tmp_path)
    with pytest.raises(ValueError, match="encoding is 'klingon', which is unknown"):
        read_text(tmp_path / "book.txt", encoding="klingon")
    for name in ("rot13", "hex", "bz2"):  # codecs of other things than texts
        with pytest.raises(ValueError, match=f"encoding is '{name}', which is unknown; write e.g. utf-8"):
            read_text(tmp_path / "book.txt", encoding=name)


def test_the_books(data_root):
    large = read_text(data_root / "text" / "karamazov.txt")
    small = read_text(data_root / "text" / "heart_of_darkness.txt")
    assert (len(large), len(set(large)), len(small), len(set(small))) == (1_936_851, 96, 210_449, 71)
    assert text_digest(small) == text_digest(small)
    assert text_digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


@pytest.mark.parametrize("length", [40, 41, 999, 12_345])
def test_the_parts_cover_the_text_in_order_and_never_overlap(length):
    train, val, test = split_text(length, val_share=0.1, test_share=0.05)
    assert [*train, *val, *test] == list(range(length))
    assert (len(val), len(test)) == (int(length * 0.1), int(length * 0.05))


def test_bad_splits():
    with pytest.raises(ValueError, match=r"val_share must be a share between 0 and 1, got 0"):
        split_text(100, val_share=0)
    with pytest.raises(ValueError, match="leave a share for training"):
        split_text(100, val_share=0.5, test_share=0.5)
    message = r"the text is too short: 39 characters give 37 for training \(at least 2 are needed\), 1 for validation"
    with pytest.raises(ValueError, match=message):
        split_text(39)
    with pytest.raises(ValueError, match=r"90 for training \(at least 91 are needed\)"):
        split_text(100, least=91)


def windows(size=100, window=7, **options):
    return TextWindows(torch.arange(size, dtype=torch.uint8), window, **{"batch_size": 4, **options})


def test_targets_are_the_characters_after():
    for order in ("random", "stream"):
        data = windows(order=order)
        for number in range(50):
            tokens, target = data.batch(number)
            assert (tokens.shape, tokens.dtype) == ((4, 7), torch.int64)
            assert torch.equal(target, (tokens + 1) % 100)


def test_random_windows_depend_on_seed_and_number_alone():
    data = windows(seed=3)
    later = data.batch(17).tokens
    assert torch.equal(windows(seed=3).batch(17).tokens, later)
    assert not torch.equal(windows(seed=4).batch(17).tokens, later)
    assert not torch.equal(data.batch(18).tokens, later)


def test_random_windows_come_from_everywhere_and_never_go_over_the_end():
    data = windows(size=12, window=7, batch_size=64)
    starts = torch.cat([data.batch(number).tokens[:, 0] for number in range(20)])
    assert sorted(set(starts.tolist())) == [0, 1, 2, 3, 4]
    assert data.batch(0).target.max() <= 11
    # No place is favoured: each of five has a fifth of 1280.
    assert torch.bincount(starts).tolist() == pytest.approx([256] * 5, abs=60)


def test_the_stream_goes_on_where_it_ended_on_a_ring():
    data = windows(size=30, window=4, batch_size=3, order="stream")
    lanes = torch.cat([data.batch(number).tokens for number in range(30)], dim=1)
    for lane, start in enumerate((0, 10, 20)):
        assert lanes[lane].tolist() == [(start + place) % 30 for place in range(120)]


def test_bad_windows():
    with pytest.raises(ValueError, match="window must be a whole number of at least 1, got 0"):
        windows(window=0)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got True"):
        windows(batch_size=True)
    with pytest.raises(ValueError, match="order must be 'random' or 'stream', got 'shuffled'"):
        windows(order="shuffled")
    with pytest.raises(ValueError, match="too short: 7 characters for a window of 7 and the one after it"):
        windows(size=7)
    assert windows(size=8).batch(0).tokens.tolist() == [list(range(7))] * 4
    with pytest.raises(ValueError, match=r"a vector of whole numbers, got torch.float32 \[3\]"):
        TextWindows(torch.zeros(3), 1)
