"""Bundles measured on the same test rows: what the gate decides on."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from rich import get_console
from rich.progress import track

from recsys.bundle import Bundle, BundleManifest
from recsys.dataset import Dataset, Queries
from recsys.errors import InputError
from recsys.metrics import exposure, harness
from recsys.metrics.bootstrap import Interval, paired_interval
from recsys.plays import STORED
from recsys.ragged import Float64, Int32, Ragged
from recsys.scoring.base import CHUNK, Scorer, rank
from recsys.splits import for_dataset
from recsys.vocabulary import Vocabulary
from training.gate.rule import Figures, GateSettings
from training.publish import window_of

TIMED_REQUESTS = 200
SURFACE = {"continuation": "playlist", "next": "home"}


@dataclass(frozen=True)
class Result:
    figures: Figures
    per_query: Float64
    """(queries,) the primary metric."""


class Contest:
    """The newest test rows of a data set, on which one bundle after the other is measured."""

    def __init__(self, dataset: Dataset, settings: GateSettings) -> None:
        self.dataset = dataset
        self.settings = settings
        self.metric = harness.PRIMARY[dataset.manifest.task]
        self.split = for_dataset(dataset.with_beside(STORED))
        self.queries = newest(self.split.test, settings.max_queries)
        self._catalogue = harness.Catalogue.of(dataset)
        self._groups = exposure.listener_groups(self.queries.histories, dataset.train_counts, len(harness.GROUPS))

    def measure(self, bundle: Bundle) -> Result:
        """The bundle's first source for the task's surface, judged over the full catalogue of the data set."""
        task = self.dataset.manifest.task
        scorer = bundle.scorers[bundle.policy.surfaces[SURFACE[task]].source_names[0]]
        own = Vocabulary(bundle.catalogue["track_id"].to_list()).indices(self.dataset.items["track_id"])
        same = bundle.manifest.data.fingerprint == self.dataset.manifest.fingerprint
        asked = translated(self.queries.histories if same else without_contexts(self.queries.histories), own)
        slates = self._slates(bundle.manifest.name, scorer, asked, harness.DEPTH[task])
        back = np.full(len(bundle.catalogue) + 1, -1, dtype=np.int32)  # the last stands for "no track" (-1)
        back[own[own >= 0]] = np.flatnonzero(own >= 0)
        measured = harness.judge(back[slates], self.queries, task, self._catalogue)
        primary = measured.per_query[self.metric]
        return Result(
            Figures(
                primary=float(primary.mean()),
                coverage=measured.catalogue["coverage"],
                cold=measured.catalogue.get("cold_recall"),
                groups={
                    name: float(primary[self._groups == group].mean())
                    for group, name in enumerate(harness.GROUPS)
                    if (self._groups == group).any()
                },
                latency_ms=p95_ms(scorer, asked, harness.SHOWN, self.queries.mask_history),
            ),
            primary,
        )

    def gain(self, contender: Result, incumbent: Result) -> Interval:
        """Paired 95% interval of contender minus incumbent on the primary metric."""
        return paired_interval(contender.per_query, incumbent.per_query, self.queries.clusters, seed=self.settings.seed)

    def _slates(self, name: str, scorer: Scorer, histories: Ragged, k: int) -> Int32:
        out = np.full((len(histories), min(k, scorer.n_items)), -1, dtype=np.int32)
        ranked = rank(scorer, histories, k, mask_history=self.queries.mask_history)
        steps = -(-len(histories) // CHUNK)
        silent = not get_console().is_terminal
        for rows, items, _ in track(ranked, f"Scoring {name}", total=steps, transient=True, disable=silent):
            out[rows] = items
        return out


def newest(queries: Queries, count: int) -> Queries:
    """The latest ``count`` queries by day; without days the last ``count`` rows."""
    if len(queries) <= count:
        return queries
    order = np.arange(len(queries)) if queries.days is None else np.argsort(queries.days, kind="stable")
    return queries.take(np.sort(order[-count:]))


def translated(histories: Ragged, own: Int32) -> Ragged:
    """Histories in another catalogue's indices, without the tracks that it lacks; own: int32 (n_items,), -1 for those.

    >>> translated(Ragged.of([[0, 1], [1]]), np.array([5, -1])).lengths.tolist()
    [1, 0]
    """
    moved = replace(histories, values=own[histories.values])
    return moved.where(moved.values >= 0)


def without_contexts(histories: Ragged) -> Ragged:
    """A context is an index into the list of its own data set: to a bundle of other data it is unknown.

    >>> told = {"context": np.array([0]), "time": np.array([9])}
    >>> list(without_contexts(Ragged.from_lengths([3], [1], told)).beside)
    ['time']
    """
    return replace(histories, beside={name: column for name, column in histories.beside.items() if name != "context"})


def p95_ms(scorer: Scorer, histories: Ragged, k: int, mask_history: bool) -> float:
    """95th percentile, over up to TIMED_REQUESTS histories, of scoring and ranking one at a time, in milliseconds."""
    chosen = histories.take(np.linspace(0, len(histories) - 1, min(TIMED_REQUESTS, len(histories))).astype(np.int64))
    seconds = []
    for row in range(len(chosen)):
        single = chosen.take([row])
        start = time.perf_counter()
        list(rank(scorer, single, k, mask_history=mask_history))
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.percentile(seconds, 95))


def unfit(manifest: BundleManifest, dataset: Dataset) -> str | None:
    """Why this bundle must not be judged on the test rows of the data set; None where it may.

    Under a global time split the end of its training window must lie before the first test row, whatever data it was
    trained on. Under any other split only the same data fingerprint shows that the test rows were held out; where
    these data are dated, the window must end with the train and valid rows as well.
    """
    protocol = dataset.manifest.protocol
    if protocol != "global_time" and manifest.data.fingerprint != dataset.manifest.fingerprint:
        return (
            f"it was trained on data {manifest.data.fingerprint}, the test rows are of {dataset.manifest.fingerprint}, "
            f"and a split by {protocol} cannot show that it never saw them"
        )
    if not dataset.manifest.dated or protocol == "leave_one_out":
        return None
    if (ended := manifest.training_window[1]) is None:
        return "its manifest has no training window, so nothing shows that it was trained before the test rows"
    last = _instant(ended)
    if protocol == "global_time":
        begin = _instant(window_of(dataset, "test")[0])
        return f"it was trained on rows up to {last}, and the test rows begin at {begin}" if last >= begin else None
    limit = _instant(window_of(dataset, "train", "valid")[1])
    return f"it was trained on rows up to {last}, and train and valid end at {limit}" if last > limit else None


def _instant(text: str | None) -> datetime:
    """ISO 8601, UTC where it names no zone."""
    if text is None:
        raise InputError("a dated data set has no dated rows in one of its splits; make it anew: segue features")
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
