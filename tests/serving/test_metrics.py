"""What Prometheus reads: of one process, of several workers together, and of workers that died."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from segue.v1.recommendation_pb2 import Fallback

from recsys.errors import InputError
from recsys.ragged import Int32
from serving.inspection.metrics import ROLES, LoadedBundle, Metrics
from serving.inspection.metrics_page import MetricsSettings, exposed, of_all_workers, shared_folder, worker_died

B1 = LoadedBundle("b1", 1_000.0, np.array([0, 0, 1, 1], np.int32))


def items(*numbers: int) -> Int32:
    return np.array(numbers, np.int32)


def read(registry: CollectorRegistry) -> dict[str, float]:
    """Sample and labels -> value, as a scraper parses the page."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('segue_')}{{{labels}}}"] = sample.value
    return found


def everything(metrics: Metrics) -> None:
    metrics.entered()
    metrics.entered()
    metrics.left()
    metrics.request("Recommend", "OK", 0.004)
    metrics.request("Recommend", "OK", 0.4)
    metrics.request("Recommend", "NOT_FOUND", 0.001)
    metrics.stage("ranker", 0.002, 8)
    metrics.batch(8, 0.001, 0.004)
    metrics.queue(3)
    metrics.dropped()
    metrics.shed("quota")
    metrics.fallback(Fallback.CODE_SOURCE_LATE, "main")
    metrics.fallback(Fallback.CODE_SOURCE_LATE, "main")
    metrics.load("loaded")
    metrics.load("refused")
    metrics.bundles([B1])
    metrics.served("b1", items(0, 1), explored=1)
    metrics.served("b1", items(1, 2))
    metrics.events(5, 2, 0, 0.003)
    metrics.event_applied(1_700_000_000.0)
    metrics.records("log", "written", 2)
    metrics.records_waiting("state", 7)
    metrics.dependency_error("log")
    metrics.catalogue_read(12, 1_700_000_001.0)
    metrics.bundles([B1])


def test_each_thing_that_happens_is_told() -> None:
    metrics = Metrics()
    everything(metrics)
    found = read(metrics.registry)
    expected = {
        "requests_in_flight{}": 1,
        "request_seconds_count{code=OK,method=Recommend}": 2,
        "request_seconds_bucket{code=OK,le=0.005,method=Recommend}": 1,
        "request_seconds_count{code=NOT_FOUND,method=Recommend}": 1,
        "stage_seconds_sum{stage=ranker}": 0.002,
        "stage_requests_total{stage=ranker}": 8,
        "batch_size_bucket{le=4.0}": 0,
        "batch_size_bucket{le=8.0}": 1,
        "queue_wait_seconds_sum{}": 0.001,
        "batch_busy_seconds_total{}": 0.004,
        "queue_length{}": 3,
        "requests_dropped_total{}": 1,
        "requests_shed_total{reason=quota}": 1,
        "fallbacks_total{code=source_late,source=main}": 2,
        "tracks_served_total{bundle=b1}": 4,
        "slots_explored_total{bundle=b1}": 1,
        "events_total{outcome=stored}": 5,
        "events_total{outcome=duplicate}": 2,
        "event_store_seconds_count{}": 1,
        "event_newest_timestamp_seconds{}": 1_700_000_000,
        "records_total{outcome=written,where=log}": 2,
        "records_waiting{where=state}": 7,
        "dependency_errors_total{part=log}": 1,
        "catalogue_version{}": 12,
        "catalogue_read_timestamp_seconds{}": 1_700_000_001,
        "bundle_info{bundle=b1,role=champion}": 1,
        "bundle_created_timestamp_seconds{bundle=b1}": 1_000,
        "bundle_loads_total{outcome=loaded}": 1,
        "bundle_loads_total{outcome=refused}": 1,
        "coverage_ratio{bundle=b1}": 0.75,
        "catalogue_tracks{bundle=b1}": 4,
        "artist_gini{bundle=b1}": 0.25,  # three of one artist, one of the other
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "events_total{outcome=rejected}" not in found


def test_a_bundle_that_is_gone_is_told_as_gone() -> None:
    metrics = Metrics()
    metrics.bundles([B1])
    metrics.bundles([B1._replace(name="b2"), B1])
    metrics.bundles([B1._replace(name="b2")])
    metrics.served("b1", items(0))  # a request that began with it
    found = read(metrics.registry)
    infos = {
        (name, role): found[f"bundle_info{{bundle={name},role={role}}}"] for name in ("b1", "b2") for role in ROLES
    }
    assert infos == {("b1", "champion"): 0, ("b1", "named"): 0, ("b2", "champion"): 1, ("b2", "named"): 0}


WORKER = """
import os, sys
import numpy as np
from serving.inspection.metrics import LoadedBundle, Metrics
metrics = Metrics()
bundle = LoadedBundle("b1", 1000.0, np.array([0, 0, 1, 1], np.int32))
metrics.bundles([bundle])
metrics.entered()
metrics.request("Recommend", "OK", 0.004)
metrics.served("b1", np.array([int(sys.argv[1]), 3], np.int32))
metrics.catalogue_read(int(sys.argv[1]), 1_700_000_000.0 + int(sys.argv[1]))
metrics.bundles([bundle])
print(os.getpid(), flush=True)
sys.stdin.read()
"""


def test_several_workers_are_one_server(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    workers = []
    for number in ("0", "1"):
        command = [sys.executable, "-c", WORKER, number]
        worker = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        assert int(worker.stdout.readline()) == worker.pid
        workers.append(worker)
    both = read(of_all_workers(tmp_path))
    assert both["request_seconds_count{code=OK,method=Recommend}"] == 2
    assert both["requests_in_flight{}"] == 2
    assert both["catalogue_version{}"] == 0  # of the slower one
    assert both["coverage_ratio{bundle=b1}"] == 0.75  # 0, 1 and 3: each counts what the other has shown

    workers[0].kill()
    workers[0].wait()
    worker_died(tmp_path, workers[0].pid)
    one = read(of_all_workers(tmp_path))
    assert one["request_seconds_count{code=OK,method=Recommend}"] == 2
    assert one["requests_in_flight{}"] == 1
    assert one["catalogue_version{}"] == 1
    workers[1].communicate("", timeout=30)


def test_the_page() -> None:
    metrics = Metrics()
    metrics.shed("queue")
    with exposed(MetricsSettings.load(port=0), metrics.registry) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            assert 'segue_requests_shed_total{reason="queue"} 1.0' in page.read().decode().splitlines()
        taken = exposed(MetricsSettings.load(port=port), metrics.registry)
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}"), taken:
            pass
    with exposed(MetricsSettings.load(), metrics.registry) as port:
        assert port is None


def test_the_folder_of_a_server_that_was_killed_goes_at_the_next_start() -> None:
    code = """
from serving.inspection.metrics_page import shared_folder
with shared_folder() as folder:
    print(folder, flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        os.utime(theirs, (0, 0))
        with shared_folder() as mine:
            assert theirs.is_dir()  # that server is alive
        assert not mine.exists()
        other.kill()
    assert theirs.is_dir()
    with shared_folder():
        assert not theirs.exists()
