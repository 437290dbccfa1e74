"""Clients that send what no client should."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from platform_process import Platform, load, running, wait_for
from segue.v1 import admin_pb2, feedback_pb2
from segue.v1 import recommendation_pb2 as pb

from recsys.workspace import Workspace
from serving.rpc import admin_validation, event_validation, validation
from serving.rpc.validation import InvalidRequestError

pytestmark = pytest.mark.faults

Tell = Callable[..., None]
REQUESTS = 200_000
METHOD = "/segue.v1.RecommendationService/Recommend"


def test_garbage_huge_messages_and_slow_streams(crowned: Workspace, tell: Tell) -> None:
    """Others are answered meanwhile, and the server lives on in the same processes."""
    with running(Platform(crowned.root, ("--workers", "2"))) as platform:
        host, port = platform.address.split(":")
        workers = [worker.pid for worker in platform.workers()]
        with load(platform.address) as seen:
            wait_for(lambda: len(seen.rows) > 50, 30)
            statuses = [
                *garbage_sockets(host, int(port)),
                *garbage_messages(platform.address),
                *slow_streams(platform.address),
            ]
            answered = len(seen.rows)
            wait_for(lambda: len(seen.rows) > answered + 50, 30)
        assert [worker.pid for worker in platform.workers()] == workers
    assert seen.failed() == 0, seen.statuses()
    told = ", ".join(f"{code} {n}" for code, n in sorted(Counter(statuses).items()))
    tell(
        "garbage bytes, messages of 8 MB, streams that stall",
        f"all {len(seen.rows):,} requests of others; the attackers got {told}",
        "nothing",
        "nothing",
        "never away",
    )


def garbage_sockets(host: str, port: int) -> Iterator[str]:
    """Bytes that are no HTTP/2, connections that say nothing, and frames that lie about their length."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for raw in (
        random.Random(0).randbytes(4096),
        b"GET / HTTP/1.1\r\n\r\n",
        preface + b"\xff" * 1000,
        preface + struct.pack(">I", 1 << 24)[1:] + b"\x00\x00" + b"\x00" * 4,
    ):
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(raw)
    silent = [socket.create_connection((host, port), timeout=5) for _ in range(50)]
    time.sleep(0.5)
    for connection in silent:
        connection.close()
    yield from ()


def garbage_messages(address: str) -> Iterator[str]:
    """Bytes that are no request, messages beyond the limit, messages that are nested too deep."""
    deep = b""
    for _ in range(5_000):
        deep = b"\x0a" + _varint(len(deep)) + deep
    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        call = channel.unary_unary(METHOD)
        for raw in (random.Random(1).randbytes(300), b"\xff" * 64, deep, b"\x12" + _varint(8 << 20) + b"x" * (8 << 20)):
            with pytest.raises(grpc.RpcError) as caught:
                call(raw, timeout=20)
            yield caught.value.code().name
            assert caught.value.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}


def slow_streams(address: str) -> Iterator[str]:
    """More streams than the server takes, each open and silent."""
    codes = []
    channels = [grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
    streams = []
    for number in range(120):
        call = channels[number % 4].stream_stream("/segue.v1.FeedbackService/StreamEvents")
        streams.append(call(_silence(), timeout=3))
    for stream in streams:
        try:
            list(stream)
        except grpc.RpcError as error:
            codes.append(error.code().name)
    for channel in channels:
        channel.close()
    assert set(codes) <= {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
    yield from codes


def _silence() -> Iterator[bytes]:
    time.sleep(4)
    yield b""


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


STRINGS = ("", "x", "t0", "é" * 300, "x" * 513, "\0", "2026-02-30", "2026-01-01", "SE", "se", "🎵" * 200, "a\nb")
NUMBERS = (0, 1, 20, 100, 101, 500, 501, 2**31 - 1, 2**32 - 1)
KINDS = {
    pb.RecommendRequest: validation.check,
    pb.ContinuePlaylistRequest: validation.check,
    pb.SimilarTracksRequest: validation.check,
    feedback_pb2.RecordEventsRequest: event_validation.check_events,
    admin_pb2.UpsertTracksRequest: admin_validation.check,
    admin_pb2.RemoveTracksRequest: admin_validation.check,
}


def drawn(message: Message, draw: random.Random, depth: int = 0) -> Message:
    """Any fields set to any values, many of them wrong."""
    for field in message.DESCRIPTOR.fields:
        if draw.random() < 0.5:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(draw.choice((0, 1, 2))):
                getattr(message, field.name)[draw.choice(STRINGS)] = value(
                    field.message_type.fields_by_name["value"], draw
                )
        elif field.is_repeated:
            values = getattr(message, field.name)
            for _ in range(draw.choice((0, 1, 1, 2, 3))):
                if field.message_type is not None:
                    drawn(values.add(), draw, depth + 1)
                else:
                    values.append(value(field, draw))
        elif field.message_type is not None:
            drawn(getattr(message, field.name), draw, depth + 1)
            getattr(message, field.name).SetInParent()
        else:
            setattr(message, field.name, value(field, draw))
    return message


def value(field: FieldDescriptor, draw: random.Random) -> object:
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw.choice(STRINGS)
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return draw.choice((0.0, -1.0, float("nan"), float("inf")))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return draw.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return draw.choice((0, 1, 2, 99))
    signed = field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)
    number = draw.choice(NUMBERS)
    return min(number, 2**31 - 1) * draw.choice((1, -1)) if signed else number


@pytest.mark.timeout(900)
def test_fuzzed_requests_against_the_validator(tell: Tell) -> None:
    """Whatever comes is passed, or refused with the field at fault: never another error."""
    draw, seen = random.Random(7), Counter[str]()
    refused: list[tuple[set[str], Descriptor]] = []
    for number in range(REQUESTS):
        request = drawn(draw.choice(tuple(KINDS))(), draw)
        if number % 2:  # as bytes, some of them changed
            raw = bytearray(request.SerializeToString())
            for _ in range(draw.randrange(4)):
                if raw:
                    raw[draw.randrange(len(raw))] = draw.randrange(256)
            try:
                request = type(request).FromString(bytes(raw))
            except DecodeError:
                seen["no message"] += 1
                continue
        try:
            KINDS[type(request)](request)
        except InvalidRequestError as error:
            names = {field.partition(".")[0].partition("[")[0] for field, _ in error.violations}
            refused.append((names, request.DESCRIPTOR))

            seen["refused"] += 1
        else:
            seen["passed"] += 1
    assert sum(seen.values()) == REQUESTS
    assert all(names and names <= {field.name for field in kind.fields} for names, kind in refused)
    assert min(seen["refused"], seen["passed"], seen["no message"]) > 100
    told = ", ".join(f"{n:,} {what}" for what, n in seen.most_common())
    tell(f"{REQUESTS:,} fuzzed requests", f"each: {told}", "nothing", "nothing; no other error", "never away")
