"""What a client offers is read from its first message, as real clients and hostile ones write it."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.server.tls.client_hello import ACME, PeekedHandshake, offered_protocols


def hello(*protocols: str, name: str = "registry.example.com") -> bytes:
    """The first message of a client of OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def connection() -> PeekedHandshake:
    context, incoming = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.MemoryBIO()
    context.sslobject_class = PeekedHandshake
    made = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    assert isinstance(made, PeekedHandshake)
    made.incoming = incoming
    return made


@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("h2", "http/1.1"), ("acme-tls/1",), ("a" * 255, "b")])
def test_the_protocols_are_those_that_the_client_offers(protocols: tuple[str, ...]) -> None:
    assert offered_protocols(hello(*protocols)) == [name.encode() for name in protocols]


def test_a_message_that_is_cut_anywhere_offers_nothing() -> None:
    whole = hello("acme-tls/1")
    end = whole.index(ACME) + len(ACME)
    assert [offered_protocols(whole[:size]) for size in range(end)] == [[]] * end


@given(st.binary(max_size=600))
def test_what_is_no_such_message_offers_nothing(data: bytes) -> None:
    assert offered_protocols(b"\x17" + data) == []
    assert ACME not in offered_protocols(b"\x16\x03\x01" + data)


@given(st.integers(min_value=0, max_value=500), st.binary(min_size=1, max_size=4))
def test_a_message_with_anything_in_it_changed_is_read_or_offers_nothing(position: int, change: bytes) -> None:
    whole = bytearray(hello("acme-tls/1"))
    whole[position : position + len(change)] = change
    assert isinstance(offered_protocols(bytes(whole)), list)


@pytest.mark.parametrize("size", [1, 4, 5, 6, 100, 516])
def test_a_message_in_pieces_is_waited_for(size: int) -> None:
    whole, made = hello("acme-tls/1"), connection()
    made.incoming.write(whole[:size])
    with pytest.raises(ssl.SSLWantReadError):
        made.do_handshake()
    assert not made.is_check
    made.incoming.write(whole[size:])
    with pytest.raises(ssl.SSLError):  # It has no certificate.
        made.do_handshake()
    assert made.is_check


def test_a_client_that_offers_something_else_is_no_check() -> None:
    made = connection()
    made.incoming.write(hello("h2", "http/1.1"))
    with pytest.raises(ssl.SSLError):
        made.do_handshake()
    assert not made.is_check


def test_what_is_no_tls_is_not_waited_for() -> None:
    made = connection()
    made.incoming.write(b"GET / HTTP/1.1\r\n")
    with pytest.raises(ssl.SSLError, match="HTTP_REQUEST"):
        made.do_handshake()
