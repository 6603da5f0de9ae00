"""Requests to a server that misbehaves."""

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.remote.attempts import AttemptBudget, AttemptLimits, Attempts, AttemptTimes
from moorage.storage.remote.exchange import StoreAnswer, StoreCall, Stream
from support.rude_server import RudeServer, Said
from unit.storage.remote.conftest import Meeting


def call(url: str, **more: object) -> StoreCall:
    return StoreCall(**{"kind": "GetObject", "method": "GET", "url": f"{url}/a%2Fb?x=%20", **more})  # type: ignore[arg-type]


async def test_an_answer_is_given_as_it_came_and_the_url_goes_out_as_it_is(meet: Meeting) -> None:
    async with RudeServer([Said(404, b"none", {"X-Id": "7"})]) as server, meet(server.url) as exchange:
        answer = await exchange.send(call(server.url))
        assert (answer.status, answer.body, answer.headers["x-id"], answer.attempt) == (404, b"none", "7", 1)
        assert server.asked[0].target == "/a%2Fb?x=%20"
        assert server.asked[0].headers["user-agent"] == "moorage-test"
        assert server.asked[0].headers["authorization"] == "me"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_says_later_is_asked_again_with_longer_pauses(
    meet: Meeting, pauses: list[float], status: int
) -> None:
    said = [Said(status), Said(status), Said(status), Said(200, b"here")]
    async with RudeServer(said) as server, meet(server.url) as exchange:
        answer = await exchange.send(call(server.url))
        assert (answer.status, answer.body, answer.attempt) == (200, b"here", 4)
        assert pauses == [0.1, 0.2, 0.4]


async def test_the_last_answer_is_given_when_all_say_later(meet: Meeting) -> None:
    async with RudeServer([Said(503, b"SlowDown")]) as server, meet(server.url, retries=2) as exchange:
        assert (await exchange.send(call(server.url))).body == b"SlowDown"
        assert len(server.asked) == 3


async def test_a_refusal_is_not_asked_again(meet: Meeting) -> None:
    async with RudeServer([Said(403), Said(200)]) as server, meet(server.url) as exchange:
        assert (await exchange.send(call(server.url))).status == 403
        assert len(server.asked) == 1


async def test_a_body_that_was_cut_is_asked_for_again(meet: Meeting) -> None:
    said = [Said(200, b"0123456789", cut_at=4), Said(200, b"0123456789")]
    async with RudeServer(said) as server, meet(server.url) as exchange:
        assert (await exchange.send(call(server.url))).body == b"0123456789"


@pytest.mark.parametrize("said", [Said(is_silent=True), Said(200, b"0123456789", cut_at=4, is_hung=True)])
async def test_a_server_that_hangs_is_given_up(meet: Meeting, said: Said) -> None:
    async with RudeServer([said]) as server, meet(server.url, retries=1) as exchange:
        with pytest.raises(StorageUnavailable, match="GetObject had no answer: it took too long"):
            await exchange.send(call(server.url, idle_s=0.05))
        assert len(server.asked) == 2


async def test_a_store_has_time_to_write_what_it_was_sent(meet: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pushes at once go to a slow store as fast as it lets them: to send it all again would not help it."""
    monkeypatch.setattr("moorage.storage.remote.exchange._WRITTEN_BYTES_A_SECOND", 10)
    async with RudeServer([Said(200, after_s=0.3)]) as server, meet(server.url, retries=0) as exchange:
        answer = await exchange.send(call(server.url, kind="PutObject", method="PUT", body=b"x" * 1000, idle_s=0.05))
        assert (answer.status, answer.attempt) == (200, 1)
        with pytest.raises(StorageUnavailable, match="it took too long"):
            await exchange.send(call(server.url, idle_s=0.05))


async def test_the_time_for_a_body_is_not_taken_from_that_for_more_attempts(meet: Meeting) -> None:
    now = [0.0]

    async def pause(seconds: float) -> None:
        now[0] += seconds

    times = AttemptTimes(now=lambda: now[0], sleep=pause, chance=lambda: 1.0)
    attempts = Attempts(AttemptLimits(within_s=60), AttemptBudget(), times, more_s=40)
    now[0] = 99
    assert await attempts.again()
    now[0] = 101
    assert not await attempts.again()


@pytest.mark.parametrize("more", [{"idle_s": 600.0, "total_s": None}, {"total_s": 120.0}], ids=["slow", "long"])
async def test_what_may_take_longer_than_a_minute_is_tried_again_when_it_did(
    meet: Meeting, more: dict[str, float | None]
) -> None:
    """A service copies for minutes before it says 500; and an administrator may have given each attempt more time."""
    async with RudeServer([Said(500), Said(200)]) as server, meet(server.url, took_s=100.0) as exchange:
        assert (await exchange.send(call(server.url, **more))).attempt == 2


async def test_what_should_take_less_than_a_minute_is_not_tried_again_when_it_took_more(meet: Meeting) -> None:
    async with RudeServer([Said(500), Said(200)]) as server, meet(server.url, took_s=100.0) as exchange:
        assert (await exchange.send(call(server.url))).status == 500


async def test_no_attempt_begins_behind_its_time(meet: Meeting) -> None:
    async with RudeServer() as server, meet(server.url) as exchange:
        with pytest.raises(StorageUnavailable, match="too slow"):
            await exchange.send(call(server.url, until=exchange.settings.times.now()))
        assert not server.asked


async def test_nobody_there_is_said(meet: Meeting) -> None:
    async with RudeServer() as server:
        url = server.url
    async with meet(url, retries=1) as exchange:
        with pytest.raises(StorageUnavailable, match="GetObject had no answer: Cannot connect"):
            await exchange.send(call(url))


async def test_a_redirect_is_an_answer(meet: Meeting) -> None:
    async with RudeServer([Said(308, headers={"Location": "/elsewhere"})]) as server, meet(server.url) as exchange:
        assert (await exchange.send(call(server.url))).status == 308
        assert len(server.asked) == 1


async def test_an_answer_that_is_too_long_is_refused(meet: Meeting) -> None:
    async with RudeServer([Said(200, b"x" * 100)]) as server, meet(server.url) as exchange:
        with pytest.raises(StorageUnavailable, match="more than 99 bytes"):
            await exchange.send(call(server.url, limit_bytes=99))
        assert len(server.asked) == 1


async def test_pieces_are_sent_whole_again_and_each_attempt_is_signed(meet: Meeting) -> None:
    signed: list[StoreCall] = []
    async with RudeServer([Said(500), Said(200)]) as server, meet(server.url, signed=signed) as exchange:
        await exchange.send(call(server.url, method="PUT", body=[b"ab", b"", b"cde"]))
        assert [asked.body for asked in server.asked] == [b"abcde", b"abcde"]
        assert [asked.headers["content-length"] for asked in server.asked] == ["5", "5"]
        assert len(signed) == 2


async def test_nothing_is_sent_with_its_length(meet: Meeting) -> None:
    async with RudeServer() as server, meet(server.url) as exchange:
        await exchange.send(call(server.url, method="PUT"))
        await exchange.send(call(server.url, method="PUT", body=[]))
        assert [asked.headers["content-length"] for asked in server.asked] == ["0", "0"]


async def test_when_a_store_is_away_for_all_it_is_soon_asked_but_once(meet: Meeting) -> None:
    async with RudeServer([Said(503)]) as server, meet(server.url, retries=9) as exchange:
        for _ in range(20):
            await exchange.send(call(server.url))
        assert len(server.asked) == 100 + 20


async def test_a_good_stream_is_left_to_be_read_and_its_connection_is_used_again(meet: Meeting) -> None:
    async with RudeServer([Said(200, b"x" * 300_000)]) as server, meet(server.url) as exchange:
        for _ in range(2):
            stream = await exchange.stream(call(server.url))
            assert isinstance(stream, Stream)
            with stream:
                assert b"".join([chunk async for chunk in stream.chunks()]) == b"x" * 300_000
        assert server.connections == 1


async def test_a_bad_stream_is_an_answer(meet: Meeting) -> None:
    async with RudeServer([Said(503), Said(404, b"no")]) as server, meet(server.url) as exchange:
        answer = await exchange.stream(call(server.url))
        assert isinstance(answer, StoreAnswer)
        assert (answer.status, answer.body) == (404, b"no")


async def test_small_requests_do_not_wait_behind_bulk(meet: Meeting) -> None:
    async with RudeServer([Said(200, b"x" * 500_000, cut_at=1, is_hung=True)]) as server, meet(server.url) as exchange:
        streams = [await exchange.stream(call(server.url, is_bulk=True)) for _ in range(32)]
        server.answers = [Said(200, b"small")]
        assert (await exchange.send(call(server.url))).body == b"small"
        for stream in streams:
            assert isinstance(stream, Stream)
            stream.close()


async def test_a_request_whose_answer_was_lost_is_known_to_have_been_sent_twice(meet: Meeting) -> None:
    said = [Said(200), Said(200, cut_at=0, is_mute=True), Said(412)]
    async with RudeServer(said) as server, meet(server.url) as exchange:
        assert (await exchange.send(call(server.url, method="PUT"))).attempt == 1
        answer = await exchange.send(call(server.url, method="PUT"))  # On the same connection.
        assert (answer.status, answer.attempt) == (412, 2)
