"""The bounded map, over a clock that goes as far as it is told."""

from collections import OrderedDict
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from moorage.cache.remembered import Remembered

AGE = timedelta(seconds=10)


class Monotonic:
    """Seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_oldest_goes_first_when_there_is_no_room() -> None:
    numbers = Remembered[str, int](2)
    assert [list(numbers.put(key, value)) for key, value in (("a", 1), ("b", 2), ("c", 3))] == [[], [], [1]]
    assert [numbers.get(key) for key in "abc"] == [None, 2, 3]
    assert len(numbers) == 2


def test_what_is_put_again_is_new_and_gives_back_what_was_there() -> None:
    numbers = Remembered[str, int](2)
    numbers.put("a", 1)
    numbers.put("b", 2)
    assert list(numbers.put("a", 3)) == [1]
    assert list(numbers.put("c", 4)) == [2]


def test_asking_keeps_nothing_unless_it_shall() -> None:
    for is_kept_by_use, left in ((False, [None, 2]), (True, [1, None])):
        numbers = Remembered[str, int](2, is_kept_by_use=is_kept_by_use)
        numbers.put("a", 1)
        numbers.put("b", 2)
        numbers.get("a")
        numbers.put("c", 3)
        assert [numbers.get("a"), numbers.get("b")] == left


def test_an_entry_is_gone_when_its_time_is_over() -> None:
    clock = Monotonic()
    numbers = Remembered[str, int](9, age=AGE, monotonic=clock)
    numbers.put("a", 1)
    clock.now = 9.9
    assert numbers.get("a") == 1
    clock.now = 10
    assert numbers.get("a") is None
    assert len(numbers) == 0


def test_asking_does_not_make_an_entry_younger_and_putting_does() -> None:
    clock = Monotonic()
    numbers = Remembered[str, int](9, age=AGE, is_kept_by_use=True, monotonic=clock)
    numbers.put("a", 1)
    numbers.put("b", 2)
    clock.now = 9
    numbers.get("a")
    numbers.put("b", 2)
    clock.now = 11
    assert (numbers.get("a"), numbers.get("b")) == (None, 2)


def test_an_entry_may_have_a_time_of_its_own() -> None:
    clock = Monotonic()
    numbers = Remembered[str, int](9, monotonic=clock)
    numbers.put("short", 1, age_s=5)
    numbers.put("long", 2)
    clock.now = 5
    assert (numbers.get("short"), numbers.get("long")) == (None, 2)
    numbers.put("never", 3, age_s=0)
    assert numbers.get("never") is None


def test_a_bound_may_be_of_sizes() -> None:
    texts = Remembered[str, str](10, size_of=len)
    texts.put("a", "1234")
    texts.put("b", "1234")
    assert list(texts.put("c", "123456")) == ["1234"]
    assert [texts.get(key) for key in "abc"] == [None, "1234", "123456"]
    assert list(texts.put("c", "12")) == ["123456"], "what is put again makes room for itself"
    assert list(texts.put("d", "1234")) == []
    assert list(texts.put("e", "12345678901")) == ["1234", "12", "1234", "12345678901"], "too large for all of it"
    assert list(texts.put("f", "1234567890")) == [], "and it is counted no more"


def test_what_is_forgotten_is_given_back_once() -> None:
    numbers = Remembered[str, int](9)
    numbers.put("a", 1)
    numbers.put("b", 2)
    assert numbers.pop("a") == 1
    assert numbers.pop("a") is None
    assert list(numbers.clear()) == [2]
    assert list(numbers.clear()) == []


def test_a_value_may_be_false() -> None:
    numbers = Remembered[str, int](1)
    numbers.put("a", 0)
    assert numbers.get("a") == 0


@given(st.lists(st.tuples(st.sampled_from("gpd"), st.integers(0, 6), st.integers(0, 9))), st.integers(1, 5))
def test_whatever_is_done_it_is_a_map_that_keeps_what_was_used_last(
    steps: list[tuple[str, int, int]], limit: int
) -> None:
    ours, model = Remembered[int, int](limit, is_kept_by_use=True), OrderedDict[int, int]()
    for step, key, value in steps:
        match step:
            case "g":
                assert ours.get(key) == model.get(key)
                if key in model:
                    model.move_to_end(key)
            case "d":
                assert ours.pop(key) == model.pop(key, None)
            case _:
                replaced = model.pop(key, None)
                model[key] = value
                gone = [] if replaced is None else [replaced]
                if len(model) > limit:
                    gone.append(model.popitem(last=False)[1])
                assert list(ours.put(key, value)) == gone
        assert len(ours) == len(model) <= limit
