"""Callers over a real channel: keys, tokens, certificates, scopes, quotas, and requests that never come."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.rpc import error_details_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from segue.v1 import recommendation_pb2 as pb
from segue.v1.recommendation_pb2_grpc import RecommendationServiceStub

from serving.security import tls
from serving.security.authentication import Authentication
from serving.security.guard import Guard, caller
from serving.security.quotas import Quotas
from serving.security.settings import SecuritySettings
from serving.security.slow import SlowRequests


def base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


ASK = pb.RecommendRequest(user_id="anna")


def sha(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@contextmanager
def guarded(**given: Any) -> Iterator[str]:
    """A server whose methods answer with the caller's name in `bundle`; yields its address."""
    settings = SecuritySettings.load(**given)
    slow = SlowRequests(settings.slow_request_s)
    server = grpc.server(
        ThreadPoolExecutor(4),
        interceptors=(Guard(Authentication(settings), Quotas(), slow),),
        maximum_concurrent_rpcs=4,
    )

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        return pb.RecommendResponse(bundle=caller()).SerializeToString()

    def answers(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for _ in requests:
            yield pb.RecommendResponse(bundle=caller()).SerializeToString()

    handler = grpc.unary_unary_rpc_method_handler(answer)
    stream = grpc.stream_stream_rpc_method_handler(answers)
    for service, methods in {
        "segue.v1.RecommendationService": {"Recommend": handler},
        "segue.v1.FeedbackService": {"StreamEvents": stream},
        "segue.v1.AdminService": {"Explain": handler},
        "segue.v1.Unknown": {"Do": handler},
    }.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    secure = tls.credentials(settings)
    port = server.add_secure_port("localhost:0", secure) if secure else server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0).wait()
        slow.close()


def ask(channel: grpc.Channel, key: str = "", header: str = "authorization", *, patient: bool = False) -> str:
    """The name under which the server knows the caller. patient: a handshake that fails is tried again."""
    shown = f"Bearer {key}" if header == "authorization" else key
    metadata = [(header, shown)] if key else None
    answer = RecommendationServiceStub(channel).Recommend(ASK, timeout=10, metadata=metadata, wait_for_ready=patient)
    return str(answer.bundle)


def refused(call: Callable[[], object]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    file = tmp_path / "clients.toml"
    file.write_text(
        f"""
[web]
keys = ["{sha("old")}", "{sha("new")}"]
scopes = ["recommend", "feedback"]

[console]
keys = ["{sha("desk")}"]
scopes = ["admin"]

[guest]
keys = ["{sha("guest")}"]
scopes = ["recommend"]
per_second = 0.5
burst = 2

[mobile]
certificates = ["mobile.internal"]
scopes = ["recommend"]
"""
    )
    return file


def test_a_key_opens_what_its_scopes_say(clients: Path) -> None:
    with guarded(clients=clients) as address, grpc.insecure_channel(address) as channel:
        assert ask(channel, "old") == ask(channel, "new") == "web"
        assert ask(channel, "new", header="x-api-key") == "web"
        error = refused(lambda: ask(channel, "desk"))
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
        assert "console lacks the scope recommend" in error.details()


@pytest.mark.parametrize("key", ["", "wrong", "a.b.c", sha("new")])
def test_a_stranger_is_unauthenticated(clients: Path, key: str) -> None:
    with guarded(clients=clients) as address, grpc.insecure_channel(address) as channel:
        assert refused(lambda: ask(channel, key)).code() == grpc.StatusCode.UNAUTHENTICATED
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == 1


def test_every_method_is_guarded(clients: Path) -> None:
    """Streams too, and a service that nobody thought of needs the scope admin."""
    with guarded(clients=clients) as address, grpc.insecure_channel(address) as channel:
        events = channel.stream_stream("/segue.v1.FeedbackService/StreamEvents")
        web = [("authorization", "Bearer new")]
        assert [pb.RecommendResponse.FromString(a).bundle for a in events(iter([b"", b""]), metadata=web)] == [
            "web"
        ] * 2
        assert refused(lambda: list(events(iter([b""])))).code() == grpc.StatusCode.UNAUTHENTICATED
        for method in ("/segue.v1.AdminService/Explain", "/segue.v1.Unknown/Do"):
            other = channel.unary_unary(method)
            assert refused(lambda: other(b"", metadata=web)).code() == grpc.StatusCode.PERMISSION_DENIED  # noqa: B023
            assert pb.RecommendResponse.FromString(other(b"", metadata=[("x-api-key", "desk")])).bundle == "console"
        none = channel.unary_unary("/segue.v1.Nothing/Do")
        assert refused(lambda: none(b"", metadata=web)).code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_stranger_is_refused_before_the_request_has_come(clients: Path) -> None:
    with guarded(clients=clients) as address, grpc.insecure_channel(address) as channel:
        never = threading.Event()
        call = channel.stream_unary("/segue.v1.RecommendationService/Recommend")
        error = refused(lambda: call(iter(never.wait, True), timeout=10))
        never.set()
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_request_that_never_comes_gives_its_thread_back(clients: Path) -> None:
    never = threading.Event()
    with guarded(slow_request_s=0.2) as address, grpc.insecure_channel(address) as channel:
        call = channel.stream_unary("/segue.v1.RecommendationService/Recommend")
        held = [call.future(iter(never.wait, True), timeout=30) for _ in range(4)]
        codes = set()
        end = time.monotonic() + 10
        while grpc.StatusCode.OK not in codes and time.monotonic() < end:
            free = RecommendationServiceStub(channel).Recommend.future(ASK, timeout=10)
            codes.add(free.code())
            time.sleep(0.02)
        # Refused while all threads are held, then answered.
        assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK}
        assert {call.code() for call in held} == {grpc.StatusCode.CANCELLED}
        never.set()


def test_a_call_that_ends_without_a_request_is_invalid() -> None:
    with guarded() as address, grpc.insecure_channel(address) as channel:
        call = channel.stream_unary("/segue.v1.RecommendationService/Recommend")
        assert refused(lambda: call(iter(()))).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_spent_quota_says_when_to_come_back(clients: Path) -> None:
    with guarded(clients=clients) as address, grpc.insecure_channel(address) as channel:
        assert ask(channel, "guest") == ask(channel, "guest") == "guest"
        error = refused(lambda: ask(channel, "guest"))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        info = error_details_pb2.RetryInfo()
        assert rpc_status.from_call(error).details[0].Unpack(info)
        assert 1.0 < info.retry_delay.ToMilliseconds() / 1000 <= 2.0
        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "-1"
        assert ask(channel, "new") == "web"


def test_a_stream_beyond_its_quota_waits(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    file.write_text(f'[app]\nkeys = ["{sha("k")}"]\nscopes = ["feedback"]\nper_second = 20\nburst = 3')
    with guarded(clients=file) as address, grpc.insecure_channel(address) as channel:
        stream = channel.stream_stream("/segue.v1.FeedbackService/StreamEvents")
        started = time.monotonic()
        assert len(list(stream(iter([b""] * 10), metadata=[("x-api-key", "k")], timeout=30))) == 10
        # 11 with the opening, of which 3 were saved up.
        assert time.monotonic() - started >= 8 / 20 - 0.06


def test_to_watch_health_takes_a_key(clients: Path) -> None:
    request = health_pb2.HealthCheckRequest()
    with guarded(clients=clients) as address, grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert refused(lambda: next(stub.Watch(request))).code() == grpc.StatusCode.UNAUTHENTICATED
        assert next(stub.Watch(request, metadata=[("x-api-key", "new")])).status == 1
    with guarded() as address, grpc.insecure_channel(address) as channel:
        assert next(health_pb2_grpc.HealthStub(channel).Watch(request)).status == 1


def test_a_new_key_counts_without_a_restart(clients: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.security.reloaded.LOOK_EVERY_S", 0.0)
    with guarded(clients=clients) as address, grpc.insecure_channel(address) as channel:
        assert ask(channel, "old") == "web"
        good = clients.read_text()
        clients.write_text("[web")
        assert ask(channel, "old") == "web"  # a slip of the pen locks nobody out
        clients.write_text(good.replace(sha("old"), sha("newest")))
        assert ask(channel, "newest") == "web"
        assert refused(lambda: ask(channel, "old")).code() == grpc.StatusCode.UNAUTHENTICATED


@dataclass
class Authority:
    """A certificate authority of the test's own."""

    folder: Path
    name: str = "Test CA"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._certificate(self.name, self.key.public_key(), authority=True)
        self.pem = self.folder / f"{self.name}.pem"
        self.pem.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate = self._certificate(name, key.public_key(), authority=False)
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _certificate(self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def trusting(authority: Authority, shown: tuple[Path, Path] | None = None) -> grpc.ChannelCredentials:
    certificate, key = shown or (None, None)
    return grpc.ssl_channel_credentials(
        authority.pem.read_bytes(), key.read_bytes() if key else None, certificate.read_bytes() if certificate else None
    )


def test_tls_and_a_certificate_renewed_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.security.reloaded.LOOK_EVERY_S", 0.0)
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    certificate, key = old.issue("server")
    with guarded(certificate=certificate, private_key=key) as address:
        with grpc.secure_channel(address, trusting(old)) as channel:
            assert ask(channel, patient=True) == "anybody"
        with grpc.insecure_channel(address) as channel:
            assert refused(lambda: ask(channel)).code() == grpc.StatusCode.UNAVAILABLE
        certificate.write_bytes(b"half a certificate")
        with grpc.secure_channel(address, trusting(old)) as channel:
            assert ask(channel, patient=True) == "anybody"
        new.issue("server")
        with grpc.secure_channel(address, trusting(new)) as channel:
            assert ask(channel, patient=True) == "anybody"


def test_a_client_is_known_by_its_certificate(tmp_path: Path, clients: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    certificate, key = ours.issue("server")
    with guarded(certificate=certificate, private_key=key, client_ca=ours.pem, clients=clients) as address:
        with grpc.secure_channel(address, trusting(ours, ours.issue("mobile.internal"))) as channel:
            assert ask(channel) == "mobile"
            assert ask(channel, "new") == "web"  # a key beside the certificate says more
        with grpc.secure_channel(address, trusting(ours, ours.issue("nobody.internal"))) as channel:
            assert "nobody.internal" in refused(lambda: ask(channel)).details()
        for shown in (None, theirs.issue("mobile.internal")):
            with grpc.secure_channel(address, trusting(ours, shown)) as channel:
                assert refused(lambda: ask(channel)).code() == grpc.StatusCode.UNAVAILABLE
    with (
        guarded(certificate=certificate, private_key=key, client_ca=ours.pem) as address,
        grpc.secure_channel(address, trusting(ours, ours.issue("any.internal"))) as channel,
    ):
        assert ask(channel) == "any.internal"


def test_a_token_names_its_client_and_scopes(tmp_path: Path) -> None:
    secret = "s" * 32
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": base64url(secret)}]}))
    given = {"jwt_keys": file, "jwt_algorithms": ["HS256"], "jwt_audience": "segue", "jwt_issuer": "login"}
    claims = {"sub": "web", "aud": "segue", "iss": "login", "exp": time.time() + 60}
    with guarded(**given) as address, grpc.insecure_channel(address) as channel:
        assert ask(channel, jwt.encode({**claims, "scope": "recommend"}, secret)) == "web"
        assert refused(lambda: ask(channel, jwt.encode(claims, secret))).code() == grpc.StatusCode.PERMISSION_DENIED
        old = jwt.encode({**claims, "exp": time.time() - 60}, secret)
        error = refused(lambda: ask(channel, old))
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "expired" in error.details()
