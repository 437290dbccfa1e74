"""`segue serve` with two workers, watched from outside: one page of figures, one log, answers that are explained by
whichever worker is asked, and nothing lost at a clean stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from prometheus_client.parser import text_string_to_metric_families

from recsys.workspace import Champion, Workspace
from serving.client import Client, event, track
from serving.eventlog.embedded import EmbeddedLog

ASKED = 20


def scraped(page: str) -> dict[tuple[str, ...], float]:
    """(sample, values of its labels, ...) -> value."""
    with urllib.request.urlopen(page, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(s.name, *(s.labels[name] for name in sorted(s.labels))): s.value for f in families for s in f.samples}


def until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 30
    while True:
        try:
            if value := found():
                return value
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
        assert time.monotonic() < end
        time.sleep(0.05)


def test_two_workers_are_one_server(workspace: Path, tmp_path: Path, write_small_bundle: Callable[..., Path]) -> None:
    made = Workspace()
    write_small_bundle(made.bundles / "first")
    made.set_champion(Champion(bundle="first", dataset="small", promoted_at="2026-01-01", reason="better"))
    ready = tmp_path / "address"
    command = [
        sys.executable,
        "-m",
        "recsys.cli",
        "serve",
        "--port",
        "0",
        "--workers",
        "2",
        "--address-file",
        str(ready),
    ]
    environment = {**os.environ, "SEGUE_METRICS_PORT": "0"}
    lines: list[dict[str, Any]] = []
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stderr is not None
            reader = threading.Thread(target=lambda: lines.extend(json.loads(line) for line in process.stderr or ()))
            reader.start()
            until(ready.is_file)
            page = until(lambda: [line["page"] for line in lines if line["event"] == "metrics"])[0]
            address = ready.read_text().strip()

            with Client(address, connections=ASKED) as client:  # which land on either worker
                answers = [client.recommend(f"listener-{number}", limit=5) for number in range(ASKED)]
                heard = event("listener-0", track("t4"), "play", request_id=answers[0].request_id)
                assert client.record_events([heard, heard]).stored == 1
                assert client.recommend("listener-0", limit=3).history == 1
                record = until(lambda: client.explain(answers[-1].request_id))
            shown = [each.track.track_id for each in answers[-1].tracks]
            assert [each.track_id for each in record.impressions] == shown
            assert record.user_id == ""

            figures = scraped(page)
            assert figures["segue_request_seconds_count", "OK", "Recommend"] == ASKED + 1
            assert figures["segue_events_total", "stored"] == 1
            assert figures["segue_events_total", "duplicate"] == 1
            assert figures["segue_event_newest_timestamp_seconds",] > time.time() - 60
            assert figures["segue_catalogue_read_timestamp_seconds",] > time.time() - 60
            assert figures["segue_bundle_info", "first", "champion"] == 1
            assert figures["segue_requests_in_flight",] == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            reader.join()
        finally:
            if process.poll() is None:
                process.kill()

    calls = [line for line in lines if line["event"] == "call" and line["method"] == "Recommend"]
    assert {line["request_id"] for line in calls} >= {answer.request_id for answer in answers}
    # One salt for all workers: a listener has one pseudonym.
    users = [line["user"] for line in calls]
    assert len(set(users)) == ASKED
    assert "listener-0" not in json.dumps(lines)
    log = EmbeddedLog(made.root / "log" / "events.db", 5)
    records = {record.request_id: record for page in log.records() for record in page.rows}
    log.close()
    assert records.keys() >= {answer.request_id for answer in answers}
    assert records[answers[0].request_id].user_id == "listener-0"
