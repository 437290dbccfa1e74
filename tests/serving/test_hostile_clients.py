"""Garbage on the socket, requests as deep and large as can be, connections without end: the server answers on."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import grpc
import pytest
from segue.v1 import recommendation_pb2 as pb

from serving.client import Client, track
from serving.models.model import Model

Serving = Callable[..., AbstractContextManager[str]]
noise = random.Random(0).randbytes
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113, section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


GARBAGE = {
    "random bytes": noise(4096),
    "http 1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise(512),
    "a preface, then noise": PREFACE + noise(4096),
    "a frame that says it is huge": PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 1000,
    "data for a stream that is not open": PREFACE + frame(4, 0, 0, b"") + frame(0, 1, 7, b"x" * 100) * 20,
    "a flood of settings": PREFACE + frame(4, 0, 0, b"\x00\x03\x00\x00\x00\x00") * 2000,
    "a flood of resets": PREFACE + b"".join(frame(3, 0, 2 * i + 1, bytes(4)) for i in range(2000)),
    "headers that do not decode": PREFACE + frame(4, 0, 0, b"") + frame(1, 4, 1, noise(200)),
}


@pytest.fixture(scope="module")
def address(model: Model, serving: Serving) -> Iterator[str]:
    with serving(model, max_concurrent=16, max_message_bytes=1 << 20, max_metadata_bytes=4096) as found:
        yield found


def answers(address: str) -> bool:
    with Client(address) as client:
        return bool(client.continue_playlist([track("t0")]).tracks)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_bytes_hurt_nobody_else(address: str, garbage: bytes) -> None:
    host, _, port = address.rpartition(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=10) as hostile:
            try:
                hostile.sendall(garbage)
                hostile.settimeout(0.2)
                hostile.recv(65536)
            except (ConnectionError, TimeoutError):
                pass  # it may well be sent away
            assert answers(address)


def test_connections_that_say_nothing(address: str) -> None:
    host, _, port = address.rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=10) for _ in range(200)]
    assert answers(address)
    for each in silent:
        each.close()


def raw(address: str, method: str, body: bytes, metadata: list[tuple[str, str]] | None = None) -> grpc.StatusCode:
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/segue.v1.RecommendationService/{method}")
        try:
            call(body, timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def nested(depth: int) -> bytes:
    """Groups of an unknown field, one within the other: what a parser without a limit recurses into."""
    return b"\x9b\x06" * depth + b"\x9c\x06" * depth  # start and end of group 99


def test_nesting_is_bounded(address: str) -> None:
    request = pb.ContinuePlaylistRequest(seeds=[track("t0")]).SerializeToString()
    assert raw(address, "ContinuePlaylist", request + nested(50)) == grpc.StatusCode.OK
    for depth in (101, 10_000, 200_000):
        assert raw(address, "ContinuePlaylist", request + nested(depth)) == grpc.StatusCode.INVALID_ARGUMENT
    assert answers(address)


def test_size_is_bounded(address: str) -> None:
    assert raw(address, "Recommend", b"\x00" * (1 << 20)) == grpc.StatusCode.INVALID_ARGUMENT
    assert raw(address, "Recommend", b"\x00" * ((1 << 20) + 1)) == grpc.StatusCode.RESOURCE_EXHAUSTED
    # A field that says it is longer than the message.
    assert raw(address, "Recommend", b"\x12\xff\xff\xff\xff\x07" + b"x" * 1000) == grpc.StatusCode.INVALID_ARGUMENT
    request = pb.RecommendRequest(user_id="anna").SerializeToString()
    assert raw(address, "Recommend", request, [("x", "y" * 2000)]) == grpc.StatusCode.OK
    assert raw(address, "Recommend", request, [("x", "y" * 20_000)]) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert answers(address)


def test_calls_of_one_connection_are_bounded(model: Model, serving: Serving) -> None:
    """A client with more calls than it may have waits itself; another is answered."""
    never = threading.Event()
    alone = [("grpc.use_local_subchannel_pool", 1)]
    with (
        serving(model, max_concurrent=8, max_calls_per_connection=4) as address,
        grpc.insecure_channel(address, alone) as hostile,
    ):
        call = hostile.stream_unary("/segue.v1.RecommendationService/Recommend")
        held = [call.future(iter(never.wait, True), timeout=30) for _ in range(20)]
        assert answers(address)
        for each in held:
            each.cancel()
        never.set()


def test_a_client_that_pings_without_end_is_sent_away(model: Model, serving: Serving) -> None:
    with serving(model, fewest_ping_s=60.0) as address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as hostile:
            hostile.sendall(PREFACE + frame(4, 0, 0, b"") + frame(6, 0, 0, bytes(8)) * 10)
            said = b""
            while chunk := hostile.recv(65536):
                said += chunk
        assert b"too_many_pings" in said  # in a GOAWAY, and the connection is closed
        assert answers(address)
