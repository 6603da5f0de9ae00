"""Texts from some processes of a node to one of them: each once, whole, and nobody waits."""

from moorage.work.text_pipe import TextPipe


def test_what_was_told_is_taken_once_in_its_order() -> None:
    pipe = TextPipe()
    assert not pipe.take()
    assert pipe.tell("group/app")
    assert pipe.tell("é")
    assert pipe.take() == ["group/app", "é"]
    assert not pipe.take()


def test_what_there_is_no_room_for_is_lost_and_nothing_is_cut() -> None:
    pipe, count = TextPipe(), 0
    while pipe.tell(f"{count:0200}"):
        count += 1
    assert not pipe.tell("x" * 5000)
    taken: list[str] = []
    while more := pipe.take():
        taken += more
    assert taken == [f"{number:0200}" for number in range(count)]
