"""Password files, the check of a password, and how failures are counted."""

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.failures import Failures
from moorage.auth.passwords import PasswordFile


def hashed(password: str, cost: int = 4, prefix: bytes = b"2b") -> str:
    salt = bcrypt.gensalt(cost, prefix=b"2a" if prefix == b"2a" else b"2b")
    return bcrypt.hashpw(password.encode()[:72], salt).decode().replace("$2b$", f"${prefix.decode()}$")


ADA = hashed("secret")


class TestFile:
    @pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
    def test_every_kind_of_bcrypt_is_read(self, prefix: bytes) -> None:
        users = PasswordFile.parse(f"ada:{hashed('secret', prefix=prefix)}\n".encode())
        assert users.matches("ada", "secret")
        assert not users.matches("ada", "Secret")

    def test_comments_empty_lines_and_a_mark_at_the_start_are_left_out(self) -> None:
        content = f"\ufeff# users\r\n\n  ada:{ADA}  \r\n#eve:{ADA}\nbob:{ADA}"
        assert set(PasswordFile.parse(content.encode()).hashes) == {"ada", "bob"}

    def test_other_hashes_let_nobody_in_and_are_counted(self) -> None:
        """Apache's other kinds, and plain text, which must never be a password."""
        lines = ["md5:$apr1$x$y", "crypt:rqXexS6ZhobKA", "sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "plain:secret", "no:"]
        users = PasswordFile.parse("\n".join([*lines, f"ada:{ADA}", "bad:$2y$04$" + "z" * 53]).encode())
        assert (set(users.hashes), users.unusable) == ({"ada"}, 6)
        for line in lines:
            user, _, text = line.partition(":")
            assert not users.matches(user, text)
            assert not users.matches(user, "secret")

    def test_the_last_line_of_a_user_counts(self) -> None:
        """As in Distribution."""
        users = PasswordFile.parse(f"ada:{hashed('old')}\nada:{ADA}".encode())
        assert users.matches("ada", "secret")
        assert not users.matches("ada", "old")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"ada", "line 1 is no user and hash"),
            (f"ok:{ADA}\n:{ADA}".encode(), "line 2 is no user and hash"),
            (b"ada:$2y$31$" + b"." * 53, "line 1: bcrypt's cost is 31, from 4 to 15 is taken"),
            (b"ada:$2y$03$" + b"." * 53, "line 1: bcrypt's cost is 3"),
            (b"\xff:x", "codec"),
        ],
    )
    def test_a_file_that_makes_no_sense_is_refused(self, content: bytes, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            PasswordFile.parse(content)

    @given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def test_any_bytes_are_a_file_or_are_refused(self, content: bytes) -> None:
        try:
            users = PasswordFile.parse(content)
        except ValueError:
            return
        assert not users.hashes


class TestPassword:
    def test_a_password_is_cut_where_bcrypt_stops(self) -> None:
        users = PasswordFile.parse(f"ada:{hashed('x' * 80)}".encode())
        assert users.matches("ada", "x" * 72)
        assert users.matches("ada", "x" * 100)
        assert not users.matches("ada", "x" * 71)

    @pytest.mark.parametrize("password", ["", "\0", "secret\0", "\udcff", "sécret", "secret ", "SECRET", "-"])
    def test_other_passwords_are_wrong(self, password: str) -> None:
        users = PasswordFile.parse(f"ada:{ADA}\neve:{hashed('-')}".encode())
        assert not users.matches("ada", password)
        assert users.matches("eve", password) is (password == "-")

    @pytest.mark.parametrize(("cost", "others"), [(5, 4), (4, 6)])
    def test_a_known_and_an_unknown_user_take_one_bcrypt_of_one_cost(self, cost: int, others: int) -> None:
        """The work is counted, not timed: what each check was given says what it costs."""
        lines = [f"u{number}:{hashed('secret', cost)}" for number in range(3)]
        users = PasswordFile.parse("\n".join([*lines, f"other:{hashed('secret', others)}"]).encode())
        seen: list[bytes] = []

        def check(password: bytes, hashed_password: bytes) -> bool:
            seen.append(hashed_password)
            return bcrypt.checkpw(password, hashed_password)

        for user in ("u1", "nobody", "", "u1\0"):
            assert not users.matches(user, "wrong", check=check)
        assert not users.matches("u1", "nul\0", check=check)
        assert [found[4:6] for found in seen] == [f"{cost:02d}".encode()] * 5

    def test_nobody_has_a_password(self) -> None:
        empty = PasswordFile.parse(b"")
        for password in ("", ".", "secret"):
            assert not empty.matches("", password)
            assert not empty.matches("ada", password)


class TestFailures:
    def test_each_failure_of_an_address_waits_longer_up_to_a_limit(self) -> None:
        failures = Failures(monotonic=lambda: 0.0)
        assert [failures.note("192.0.2.1") for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
        assert failures.note("198.51.100.2") == 0.1

    def test_whoever_was_wrong_thrice_is_suspect_until_it_is_forgotten(self) -> None:
        now = 0.0
        failures = Failures(monotonic=lambda: now)
        for expected in (False, False, True):
            failures.note("192.0.2.1")
            assert failures.is_suspect("192.0.2.1") is expected
        assert not failures.is_suspect("192.0.2.2")
        now = 599.0
        assert failures.is_suspect("192.0.2.1")
        now = 601.0
        assert not failures.is_suspect("192.0.2.1")
        assert failures.note("192.0.2.1") == 0.1

    @pytest.mark.parametrize(
        ("first", "second", "same"),
        [
            ("2001:db8::1", "2001:db8::ffff:1", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("192.0.2.1", "192.0.2.2", False),
            ("", "", True),
            ("nonsense", "other nonsense", False),
        ],
    )
    def test_a_network_of_ipv6_counts_as_one(self, first: str, second: str, *, same: bool) -> None:
        failures = Failures(monotonic=lambda: 0.0)
        for _ in range(3):
            failures.note(first)
        assert failures.is_suspect(second) is same

    def test_a_crowd_of_addresses_does_not_fill_the_memory(self) -> None:
        failures = Failures(monotonic=lambda: 0.0)
        for number in range(10_500):
            failures.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert max(len(records) for records in failures._failures.values()) == 10_000
