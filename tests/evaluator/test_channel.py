"""Messages from a side that is not trusted."""

import os
import socket
import struct

import pytest

from assay.evaluator.channel import Channel, ChannelClosed, ChannelTimeout, ProtocolViolation, pair


@pytest.fixture
def ends() -> tuple[Channel, socket.socket]:
    return pair()


def framed(body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + body


def test_messages_and_descriptors_arrive(ends: tuple[Channel, socket.socket]):
    ours, theirs = ends
    reader, writer = os.pipe()
    Channel(theirs).send({"a": [1, 2.5, None]}, [reader])
    message, (received,) = ours.receive(1)
    os.write(writer, b"x")
    assert message == {"a": [1, 2.5, None]}
    assert os.read(received, 1) == b"x"


def test_two_messages_in_one_packet_are_read_one_by_one(ends: tuple[Channel, socket.socket]):
    ours, theirs = ends
    theirs.sendall(framed(b'{"n": 1}') + framed(b'{"n": 2}'))
    assert [ours.receive(1)[0]["n"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    "body", [b"not json", b"[1]", b"\xff\xfe", b'{"a": ' + b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_a_body_that_is_no_message_breaks_the_protocol(ends: tuple[Channel, socket.socket], body: bytes):
    ours, theirs = ends
    theirs.sendall(framed(body))
    with pytest.raises(ProtocolViolation):
        ours.receive(1)


def test_an_oversized_length_is_refused_before_it_is_read(ends: tuple[Channel, socket.socket]):
    ours, theirs = ends
    theirs.sendall(struct.pack("!I", 0xFFFFFFFF))
    with pytest.raises(ProtocolViolation):
        ours.receive(1)


def test_half_a_message_times_out(ends: tuple[Channel, socket.socket]):
    ours, theirs = ends
    theirs.sendall(framed(b'{"n": 1}')[:-2])
    with pytest.raises(ChannelTimeout):
        ours.receive(0.05)


def test_a_closed_end_is_noticed_by_both_operations(ends: tuple[Channel, socket.socket]):
    ours, theirs = ends
    theirs.close()
    with pytest.raises(ChannelClosed):
        ours.receive(1)
    with pytest.raises(ChannelClosed):
        ours.send({"a": "b" * 1_000_000})


def test_the_watchdog_can_end_a_wait(ends: tuple[Channel, socket.socket]):
    ours, _theirs = ends

    def watchdog() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ours.receive(5, tick=watchdog)
