"""The client against small servers of the same protos: who calls, what is tried again, and a stream that breaks."""

from __future__ import annotations

import datetime
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from segue.v1 import admin_pb2, feedback_pb2
from segue.v1 import recommendation_pb2 as pb
from segue.v1.admin_pb2_grpc import AdminServiceServicer, add_AdminServiceServicer_to_server
from segue.v1.feedback_pb2_grpc import FeedbackServiceServicer, add_FeedbackServiceServicer_to_server
from segue.v1.recommendation_pb2_grpc import RecommendationServiceServicer, add_RecommendationServiceServicer_to_server

from serving.client import Client, event, retry_after, tls, track

DOWN = grpc.StatusCode.UNAVAILABLE


@dataclass
class Answers(RecommendationServiceServicer, FeedbackServiceServicer, AdminServiceServicer):
    """Answers each call, after as many failures as it was given; remembers what it saw."""

    failures: list[tuple[grpc.StatusCode, tuple[tuple[str, str], ...]]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    requests: list[pb.RecommendRequest] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    break_after: Iterator[int] = field(default_factory=lambda: itertools.repeat(1 << 30))

    def Recommend(self, request: pb.RecommendRequest, context: grpc.ServicerContext) -> pb.RecommendResponse:
        self.calls.append(dict(context.invocation_metadata()))
        self.requests.append(request)
        if self.failures:
            code, trailers = self.failures.pop(0)
            context.set_trailing_metadata(trailers)
            context.abort(code, "not now")
        return pb.RecommendResponse(request_id=request.request_id)

    def Explain(self, request: admin_pb2.ExplainRequest, context: grpc.ServicerContext) -> admin_pb2.ExplainResponse:
        return admin_pb2.ExplainResponse(record=admin_pb2.RequestRecord(request_id=request.asked_request_id))

    def StreamEvents(
        self, events: Iterator[feedback_pb2.Event], context: grpc.ServicerContext
    ) -> Iterator[feedback_pb2.EventAcknowledgement]:
        """Stores an event, then acknowledges it; a break falls between the two."""
        left = next(self.break_after)
        for each in events:
            duplicate = each.event_id in self.stored
            if not duplicate:
                self.stored.append(each.event_id)
            if left == 0:
                context.abort(DOWN, "gone")
            left -= 1
            yield feedback_pb2.EventAcknowledgement(event_id=each.event_id, duplicate=duplicate)


@contextmanager
def listening(answers: Answers, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    add_RecommendationServiceServicer_to_server(answers, server)
    add_FeedbackServiceServicer_to_server(answers, server)
    add_AdminServiceServicer_to_server(answers, server)
    address = f"localhost:{port}"
    found = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"localhost:{found}"
    finally:
        server.stop(0).wait()


def test_every_field_of_the_question_arrives() -> None:
    answers = Answers()
    with listening(answers) as address, Client(address) as client:
        client.recommend(
            "anna",
            history=[track("t1")],
            limit=3,
            filters=pb.Filters(market="SE"),
            surface="radio",
            bundle="b",
            context="car",
            request_id="r",
        )
        assert client.explain("r7").request_id == "r7"
    assert answers.requests == [
        pb.RecommendRequest(
            request_id="r",
            user_id="anna",
            history=[track("t1")],
            limit=3,
            filters=pb.Filters(market="SE"),
            surface="radio",
            bundle="b",
            context="car",
        )
    ]


def test_who_calls() -> None:
    answers = Answers()
    fresh = map(str, itertools.count(1))
    with listening(answers) as address:
        with Client(address, api_key="k1") as client:
            client.recommend("anna")
        with Client(address, token=lambda: next(fresh)) as client:
            client.recommend("anna")
            client.recommend("anna")
        with Client(address) as client:
            client.recommend("anna")
    assert [call.get("x-api-key") for call in answers.calls] == ["k1", None, None, None]
    assert [call.get("authorization") for call in answers.calls] == [None, "Bearer 1", "Bearer 2", None]


def test_connections_take_turns() -> None:
    class Peers(Answers):
        def Recommend(self, request: pb.RecommendRequest, context: grpc.ServicerContext) -> pb.RecommendResponse:
            peers.append(context.peer())
            return pb.RecommendResponse()

    peers: list[str] = []
    with listening(Peers()) as address, Client(address, connections=3) as client:
        for _ in range(6):
            client.recommend("anna")
    assert peers[:3] == peers[3:]
    assert len(set(peers)) == 3


@pytest.mark.parametrize("code", [DOWN, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_what_passes_is_tried_again(code: grpc.StatusCode) -> None:
    answers = Answers([(code, ()), (code, (("grpc-retry-pushback-ms", "10"),))])
    with listening(answers) as address, Client(address) as client:
        client.recommend("anna", request_id="r")
    assert [request.request_id for request in answers.requests] == ["r", "r", "r"]


@pytest.mark.parametrize(
    ("code", "trailers", "tries"),
    [
        (DOWN, (), 3),
        (grpc.StatusCode.INTERNAL, (), 1),
        (grpc.StatusCode.INVALID_ARGUMENT, (), 1),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (("grpc-retry-pushback-ms", "-1"),), 1),
    ],
)
def test_what_does_not_pass_is_told(code: grpc.StatusCode, trailers: tuple[tuple[str, str], ...], tries: int) -> None:
    answers = Answers([(code, trailers)] * 4)
    with listening(answers) as address, Client(address) as client, pytest.raises(grpc.RpcError) as caught:
        client.recommend("anna")
    assert caught.value.code() == code
    assert len(answers.requests) == tries


def test_a_server_says_when_to_ask_again() -> None:
    class Busy(RecommendationServiceServicer):
        def Recommend(self, request: pb.RecommendRequest, context: grpc.ServicerContext) -> pb.RecommendResponse:
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1, nanos=500_000_000)))
            context.set_trailing_metadata((("grpc-retry-pushback-ms", "-1"),))
            status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="busy", details=[detail])
            context.abort_with_status(rpc_status.to_status(status))

    server = grpc.server(ThreadPoolExecutor(1))
    add_RecommendationServiceServicer_to_server(Busy(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with Client(f"localhost:{port}") as client, pytest.raises(grpc.RpcError) as caught:
        client.recommend("anna")
    server.stop(0).wait()
    assert retry_after(caught.value) == 1.5


def test_an_event_has_an_id_of_its_own() -> None:
    one, two = (event("anna", track("t1"), "like", session_id="s") for _ in range(2))
    assert one.event_id != two.event_id
    assert (one.user_id, one.action, one.session_id) == ("anna", feedback_pb2.Event.ACTION_LIKE, "s")
    assert event("anna", track("t1"), "play", event_id="mine").event_id == "mine"
    with pytest.raises(ValueError, match="ACTION_HUM"):
        event("anna", track("t1"), "hum")


def events(n: int) -> list[feedback_pb2.Event]:
    return [event("anna", track("t1"), "play", event_id=f"e{i}") for i in range(n)]


def test_a_broken_stream_goes_on_where_it_was() -> None:
    answers = Answers(break_after=itertools.chain([0, 3, 0], itertools.repeat(1 << 30)))
    with listening(answers) as address, Client(address) as client:
        found = list(client.stream_events(events(50)))
    assert [each.event_id for each in found] == [f"e{i}" for i in range(50)]
    assert answers.stored == [f"e{i}" for i in range(50)]
    # What was stored when the stream broke was sent again.
    assert [each.event_id for each in found if each.duplicate]


def test_a_stream_outlives_its_server() -> None:
    answers = Answers()
    asked, restarted = threading.Event(), threading.Event()

    def slow() -> Iterator[feedback_pb2.Event]:
        yield from events(5)
        asked.set()
        restarted.wait(30)
        yield event("anna", track("t1"), "like", event_id="last")

    with Client("localhost:1") as nobody, ThreadPoolExecutor(1) as pool:
        with pytest.raises(grpc.RpcError):
            list(nobody.stream_events(events(1), give_up_s=0.2))
        with listening(answers) as address:
            client = Client(address, options=[("grpc.max_reconnect_backoff_ms", 100)])
            running = pool.submit(lambda: [each.event_id for each in client.stream_events(slow())])
            assert asked.wait(30)
        with listening(answers, int(address.rpartition(":")[2])):
            restarted.set()
            assert running.result(30) == [*(f"e{i}" for i in range(5)), "last"]
        client.close()
    assert answers.stored == [*(f"e{i}" for i in range(5)), "last"]


def test_a_refused_stream_is_told() -> None:
    class Strict(FeedbackServiceServicer):
        def StreamEvents(self, events: object, context: grpc.ServicerContext) -> Iterator[object]:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who?")

    server = grpc.server(ThreadPoolExecutor(1))
    add_FeedbackServiceServicer_to_server(Strict(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with Client(f"localhost:{port}") as client, pytest.raises(grpc.RpcError) as caught:
        list(client.stream_events(events(3)))
    server.stop(0).wait()
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_fault_of_the_callers_own_comes_after_the_acknowledgements_before_it() -> None:
    def faulty() -> Iterator[feedback_pb2.Event]:
        yield from events(2)
        raise LookupError("no third")

    found = []
    with listening(Answers()) as address, Client(address) as client, pytest.raises(LookupError, match="no third"):
        for each in client.stream_events(faulty()):
            found.append(each.event_id)
    assert found == ["e0", "e1"]


Signed = Callable[[str, bool], tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def authority() -> tuple[bytes, Signed]:
    """PEM of an authority, and what signs a certificate of that name: (certificate, key)."""

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    root = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def signed(subject: str, *, is_root: bool = False) -> tuple[bytes, bytes]:
        key = root if is_root else ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
            .sign(root, hashes.SHA256())
        )
        plain = serialization.NoEncryption()
        pem = serialization.Encoding.PEM
        return made.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)

    return signed("root", is_root=True)[0], signed


def test_tls_and_who_calls_by_certificate(authority: tuple[bytes, Signed]) -> None:
    root, signed = authority
    certificate, key = signed("localhost")
    theirs = grpc.ssl_server_credentials([(key, certificate)], root, require_client_auth=True)
    mine, my_key = signed("caller")
    with listening(Answers(), credentials=theirs) as address:
        with Client(address, credentials=tls(root, certificate=mine, key=my_key), api_key="k") as client:
            client.recommend("anna")
        both = mine + my_key  # one file, as `--certificate` takes it
        with Client(address, credentials=tls(root, certificate=both, key=both)) as client:
            client.recommend("anna")
        for refused in (tls(root), tls(certificate=mine, key=my_key), None):
            with Client(address, credentials=refused) as client, pytest.raises(grpc.RpcError) as caught:
                client.recommend("anna")
            assert caught.value.code() == DOWN
