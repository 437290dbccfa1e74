"""`segue explain` and the options that reach a server, against a small server of the same protos."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from segue.v1.admin_pb2 import ExplainRequest, ExplainResponse, Impression, RequestRecord, StageRecord
from segue.v1.admin_pb2_grpc import AdminServiceServicer, add_AdminServiceServicer_to_server
from segue.v1.recommendation_pb2 import Fallback

RECORD = RequestRecord(
    request_id="r1",
    ts=Timestamp(seconds=1_700_000_000, nanos=250_000_000),
    surface="home",
    bundle="b[1]",
    arms={"ranker": "new"},
    policy="abcdef012345",
    impressions=[
        Impression(slot=0, track_id="t[7]", source="main", score=0.5, source_rank=3),
        Impression(slot=1, track_id="t9", source="fresh", score=0.25, source_rank=41, propensity=0.125, pool=8),
    ],
    fallbacks=[Fallback(code=Fallback.CODE_SOURCE_LATE, message="cooc was late", sources=["main"])],
    stages=[StageRecord(name="candidates", ms=2.5, tracks=400), StageRecord(name="policies", ms=1, note="spacing")],
    history=3,
    permitted=1234,
    seed=77,
)


class Remembers(AdminServiceServicer):
    def Explain(self, request: ExplainRequest, context: grpc.ServicerContext) -> ExplainResponse:
        if ("authorization", "Bearer k1") not in [(name, value) for name, value in context.invocation_metadata()]:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "say who you are")
        if request.asked_request_id != "r1":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no answer {request.asked_request_id!r} is remembered")
        return ExplainResponse(record=RECORD)


@pytest.fixture(scope="module")
def at() -> Iterator[tuple[str, ...]]:
    server = grpc.server(ThreadPoolExecutor(1))
    add_AdminServiceServicer_to_server(Remembers(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield "--address", f"localhost:{port}", "--key", "k1"
    server.stop(0).wait()


CALL = "import sys, typer; from serving.cli.explain import explain; from recsys.errors import SegueError\n" + (
    "app = typer.Typer(add_completion=False); app.command()(explain)\n"
    "try: app(sys.argv[1:])\n"
    "except SegueError as error: sys.exit(f'error: {error}')"
)


def explained(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CALL, *words], capture_output=True, text=True, timeout=60, check=False)


def test_all_that_is_known_is_shown(at: tuple[str, ...]) -> None:
    done = explained("r1", *at)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in (
        "when 2023-11-14 22:13:20.250 UTC",
        "bundle b[1]",
        "arms ranker: new",
        "policy abcdef012345",
        "history 3 counted",
        "filters 1,234 tracks pass",
        "seed 77 of the exploration",
        "fallback SOURCE_LATE: cooc was late",
        "candidates 2.50 400",
        "policies 1.00 0 spacing",
        "0 t[7] main 3 0.5",
        "1 t9 fresh 41 0.25 0.125 8",
    ):
        assert line in lines, done.stdout


def test_as_json(at: tuple[str, ...]) -> None:
    record = json.loads(explained("r1", *at, "--json").stdout)
    assert record["impressions"][1]["propensity"] == 0.125
    assert record["arms"] == {"ranker": "new"}


def test_what_is_not_remembered_and_who_is_not_known(at: tuple[str, ...]) -> None:
    assert explained("r2", *at).stderr.strip() == "error: no answer 'r2' is remembered"
    stranger = explained("r1", *at[:2]).stderr
    assert "say who you are; name a key or a token: --key, or SEGUE_KEY" in stranger


def test_files_of_tls_are_named(at: tuple[str, ...]) -> None:
    missing = explained("r1", *at, "--tls", "nowhere.pem")
    assert missing.stderr.strip() == "error: nowhere.pem: cannot be read: No such file or directory"
