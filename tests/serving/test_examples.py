"""The examples run as they stand, against a small server of the same protos."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from segue.v1 import admin_pb2, admin_pb2_grpc, feedback_pb2, feedback_pb2_grpc
from segue.v1 import recommendation_pb2 as pb
from segue.v1 import recommendation_pb2_grpc as pb_grpc
from segue.v1.track_pb2 import Track

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass
class Small(pb_grpc.RecommendationServiceServicer, feedback_pb2_grpc.FeedbackServiceServicer):
    """Recommends one track, until it was liked; then another. Knows one key."""

    liked: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    asked: list[pb.RecommendRequest | pb.ContinuePlaylistRequest] = field(default_factory=list)

    def check(self, context: grpc.ServicerContext) -> None:
        if ("authorization", "Bearer k1") not in [tuple(each) for each in context.invocation_metadata()]:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "say who you are")

    def Recommend(self, request: pb.RecommendRequest, context: grpc.ServicerContext) -> pb.RecommendResponse:
        self.check(context)
        self.asked.append(request)
        track = Track(track_id="t2" if self.liked else "t1", title="Clocks", artist="Coldplay")
        return pb.RecommendResponse(
            request_id=request.request_id or "made",
            bundle="b1",
            tracks=[pb.RecommendedTrack(track=track, reason=pb.Reason(text="popular"))],
            fallbacks=[pb.Fallback(code=pb.Fallback.CODE_UNKNOWN_LISTENER, message="unknown")],
        )

    def ContinuePlaylist(
        self, request: pb.ContinuePlaylistRequest, context: grpc.ServicerContext
    ) -> pb.ContinuePlaylistResponse:
        self.asked.append(request)
        return pb.ContinuePlaylistResponse()

    def RecordEvents(
        self, request: feedback_pb2.RecordEventsRequest, context: grpc.ServicerContext
    ) -> feedback_pb2.RecordEventsResponse:
        self.check(context)
        for event in request.events:
            assert event.event_id
            assert event.action == feedback_pb2.Event.ACTION_LIKE
            self.liked.append(f"{event.user_id} {event.track.track_id} {event.request_id}")
        return feedback_pb2.RecordEventsResponse(stored=len(request.events))


@dataclass
class Explains(admin_pb2_grpc.AdminServiceServicer):
    explained: list[str] = field(default_factory=list)

    def Explain(self, request: admin_pb2.ExplainRequest, context: grpc.ServicerContext) -> admin_pb2.ExplainResponse:
        self.explained.append(request.asked_request_id)
        return admin_pb2.ExplainResponse(record=admin_pb2.RequestRecord(request_id=request.asked_request_id))


@pytest.fixture
def small() -> Small:
    return Small()


@pytest.fixture
def explains() -> Explains:
    return Explains()


@pytest.fixture
def address(small: Small, explains: Explains) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    pb_grpc.add_RecommendationServiceServicer_to_server(small, server)
    feedback_pb2_grpc.add_FeedbackServiceServicer_to_server(small, server)
    admin_pb2_grpc.add_AdminServiceServicer_to_server(explains, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    modules = {"Recommendation": pb, "Feedback": feedback_pb2, "Admin": admin_pb2}
    names = [module.DESCRIPTOR.services_by_name[f"{name}Service"].full_name for name, module in modules.items()]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(0).wait()


GRPCURL = f"""#!{sys.executable}
# Does what grpcurl does with these options: the protos come from the server, by reflection.
import argparse, grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
words = argparse.ArgumentParser(prefix_chars="-", allow_abbrev=False)
words.add_argument("-plaintext", action="store_true", required=True)
words.add_argument("-H", action="append", default=[])
words.add_argument("-max-time", type=float)
words.add_argument("-d")
words.add_argument("address")
words.add_argument("method")
given = words.parse_args()
channel = grpc.insecure_channel(given.address)
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
service, _, name = given.method.rpartition("/")
method = pool.FindServiceByName(service).methods_by_name[name]
request = json_format.Parse(given.d, message_factory.GetMessageClass(method.input_type)())
answer = channel.unary_unary("/" + given.method)(
    request.SerializeToString(),
    metadata=[tuple(each.split(": ", 1)) for each in given.H],
    timeout=given.max_time,
)
response = message_factory.GetMessageClass(method.output_type).FromString(answer)
print(json_format.MessageToJson(response, descriptor_pool=pool))
"""


def test_grpcurl(address: str, small: Small, explains: Explains, tmp_path: Path) -> None:
    """A stand-in takes grpcurl's place: the binary is not on every machine that tests."""
    stand_in = tmp_path / "grpcurl"
    stand_in.write_text(GRPCURL)
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SEGUE_KEY": "k1"}
    command = [str(EXAMPLES / "grpcurl.sh"), address, "anna"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert '"status": "SERVING"' in done.stdout
    first, more = small.asked
    assert isinstance(first, pb.RecommendRequest)
    assert (first.user_id, first.filters.market) == ("anna", "SE")
    assert first.filters.explicit == pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT
    assert isinstance(more, pb.ContinuePlaylistRequest)
    assert [seed.name.title for seed in more.seeds] == ["Clocks", "Bedshaped"]
    assert small.liked == ["anna t1 grpcurl-1"]
    assert explains.explained == ["grpcurl-1"]


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the example in Node.js depends on."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs Node.js and npm")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(EXAMPLES / "node" / "package.json", folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install: {done.stderr[-200:]}")
    return folder / "node_modules"


def node(address: str, modules: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["node", str(EXAMPLES / "node" / "segue.js"), address, "anna"]
    given = {**os.environ, "NODE_PATH": str(modules), **environment}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_node(address: str, small: Small, modules: Path) -> None:
    done = node(address, modules, SEGUE_KEY="k1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 tracks from bundle b1",
        "  fallback CODE_UNKNOWN_LISTENER: unknown",
        "  t1  Coldplay - Clocks  (popular)",
        "1 event stored",
        "1 tracks from bundle b1",
        "  fallback CODE_UNKNOWN_LISTENER: unknown",
        "  t2  Coldplay - Clocks  (popular)",
    ]
    assert small.liked == ["anna t1 made"]
    assert [each.filters.market for each in small.asked] == ["SE", ""]


@pytest.mark.slow
def test_node_tells_what_is_wrong(address: str, modules: Path) -> None:
    done = node(address, modules, SEGUE_KEY="wrong")
    assert (done.returncode, done.stderr.strip()) == (1, "UNAUTHENTICATED: say who you are")
    away = node("localhost:1", modules)
    assert away.returncode == 1
    assert away.stderr.startswith("UNAVAILABLE: ")
