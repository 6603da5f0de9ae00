"""The state in an upload's URL: only what was signed, for this upload, with this key, says anything."""

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.upload_endings import UploadState
from moorage.http.v2.upload_states import NOTHING_KNOWN, UploadStates
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

NAME = RepositoryName("group/app")
ID = str(uuid.UUID(int=1))
STATES = UploadStates(b"a secret")

DIGESTS = st.builds(Digest.of, st.binary(max_size=8), st.sampled_from(["sha256", "sha512"]))
OFFSETS = st.integers(0, 1 << 63)
SESSIONS = st.builds(UploadState, st.uuids().map(str), OFFSETS, DIGESTS)
SIGNED = STATES.sign(NAME, UploadState(ID, 12, Digest.of(b"x")))


@given(session=SESSIONS)
def test_what_was_signed_is_read(session: UploadState) -> None:
    text = STATES.sign(NAME, session)
    assert STATES.read(NAME, session.id, text) == session
    assert text.replace("-", "").replace("_", "").isalnum(), "it stands in a URL as it is"


def test_what_is_not_known_is_not_signed() -> None:
    said = STATES.sign(NAME, UploadState(ID, 12))
    assert said == NOTHING_KNOWN
    assert STATES.read(NAME, ID, said) is None
    assert STATES.read(NAME, ID, "") is None
    assert STATES.read(NAME, ID, None) is None


@given(session=SESSIONS, at=st.integers(0, 1 << 16))
def test_any_flipped_bit_makes_it_void(session: UploadState, at: int) -> None:
    text = STATES.sign(NAME, session)
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[at // 8 % len(raw)] ^= 1 << at % 8
    assert STATES.read(NAME, session.id, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) is None


@given(session=SESSIONS, at=st.integers(0, 1 << 16), character=st.characters(codec="ascii"))
def test_a_changed_character_never_makes_another_state(session: UploadState, at: int, character: str) -> None:
    text = STATES.sign(NAME, session)
    at %= len(text)
    changed = text[:at] + character + text[at + 1 :]
    assert STATES.read(NAME, session.id, changed) in (None, session)


@given(length=st.integers(0, len(SIGNED) - 1))
def test_a_part_of_it_says_nothing(length: int) -> None:
    assert STATES.read(NAME, ID, SIGNED[:length]) is None


@given(session=SESSIONS, other=st.uuids().map(str), secret=st.binary(max_size=8))
def test_it_holds_for_one_session_in_one_repository_under_one_key(
    session: UploadState, other: str, secret: bytes
) -> None:
    text = STATES.sign(NAME, session)
    assert STATES.read(NAME, other, text) is None
    assert STATES.read(RepositoryName("group/other"), session.id, text) is None
    assert STATES.read(RepositoryName("group"), session.id, text) is None
    assert UploadStates(secret).read(NAME, session.id, text) is None


BASE64 = st.binary().map(base64.b64encode).map(bytes.decode)


@given(text=st.one_of(st.text(max_size=40), st.text("Aa09-_=+/", max_size=600), BASE64))
def test_hostile_text_says_nothing_and_raises_nothing(text: str) -> None:
    assert STATES.read(NAME, ID, text) is None


class TestSecrets:
    """What the log says of nodes that do not share ``http.secret``."""

    TEXT = UploadStates(b"shared and the boot of one node", shared="shared").sign(
        NAME, UploadState(ID, 12, Digest.of(b"x"))
    )

    @pytest.mark.parametrize(
        ("states", "advice"),
        [
            (UploadStates(b"shared and another boot", shared="shared"), None),
            (UploadStates(b"another", shared="another"), "all nodes need the same http.secret"),
            (UploadStates(b"random"), "http.secret is not set"),
        ],
        ids=["another node", "another secret", "no secret"],
    )
    def test_another_secret_is_told_and_another_node_is_not(
        self, states: UploadStates, advice: str | None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert states.read(NAME, ID, self.TEXT) is None
        written = capsys.readouterr().err
        assert (advice in written) if advice else (written == "")

    def test_it_is_told_once_a_minute(self, capsys: pytest.CaptureFixture[str]) -> None:
        now = 100.0
        states = UploadStates(b"another", shared="another", monotonic=lambda: now)
        for _ in range(5):
            states.read(NAME, ID, self.TEXT)
        assert capsys.readouterr().err.count("another secret") == 1
        now += 61
        states.read(NAME, ID, self.TEXT)
        assert capsys.readouterr().err.count("another secret") == 1

    @pytest.mark.parametrize("text", ["", "a", "AAAA", "A" * 30, "!" * 60])
    def test_what_is_no_state_is_not_told(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert UploadStates(b"another", shared="another").read(NAME, ID, text) is None
        assert capsys.readouterr().err == ""
