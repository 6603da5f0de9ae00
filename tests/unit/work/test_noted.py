"""What long work notes is counted whole, and kept only up to a bound."""

from moorage.work.noted import Noted


def test_all_are_counted_and_the_first_are_kept() -> None:
    noted = Noted[int](limit=3)
    for number in range(3):
        noted.add(number)
    assert noted.is_whole
    noted.add(3)
    assert (noted.count, noted.first, noted.is_whole) == (4, [0, 1, 2], False)


def test_a_copy_stands_still() -> None:
    noted = Noted[int]()
    noted.add(1)
    copy = noted.copy()
    noted.add(2)
    assert (copy.count, copy.first) == (1, [1])
