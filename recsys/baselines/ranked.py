"""A learned ranker over the candidates of simple models, trained in the protocol in which it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from recsys.baselines.base import Baseline, Days, start_days
from recsys.baselines.item_knn import ItemKNN, SequentialRules
from recsys.baselines.session_knn import SessionKNN
from recsys.dataset import Queries, Sequences
from recsys.ragged import Bool, Float32, Float64, Int32, Int64, Ragged
from recsys.ranking.candidates import Candidates, candidates
from recsys.ranking.features import Asked, Memory, artists_of, columns, play_times
from recsys.ranking.ranker import Ranker, Trees
from recsys.scoring.base import CHUNK, Scorer
from recsys.splits.next_track import next_track

SOURCES: dict[str, type[Baseline]] = {cls.name: cls for cls in (SequentialRules, ItemKNN, SessionKNN)}
"""Models whose candidates and scores the ranker sees; `segue evaluate` puts the tuned ones in."""
BY_ARTIST: dict[str, Baseline] = {
    SequentialRules.name: SequentialRules(window=10, backward=0.5, recency=0.5, distance=0.5),
    ItemKNN.name: ItemKNN(recency=0.2),
}
"""The same over artists: an artist follows an artist more often than a track a track."""


@dataclass(frozen=True)
class State:
    """All that is known at a moment: tallies of the plays so far, and the models fitted on them."""

    memory: Memory
    models: Mapping[str, Scorer]
    by_artist: Mapping[str, Scorer]
    artists: Int64
    depth: int
    without: tuple[str, ...]

    def candidates(self, asked: Asked) -> Candidates:
        return candidates(self.memory, self.models, self.by_artist, self.artists, asked, self.depth)

    def features(self, asked: Asked, found: Candidates) -> tuple[tuple[str, ...], Float32]:
        """The names of the features, and their values (m, names) for m candidates."""
        named = found.votes | columns(self.memory, asked, found.query, found.item, self.artists)
        kept = {name: column for name, column in named.items() if not any(map(name.endswith, self.without))}
        return tuple(kept), np.stack(list(kept.values()), axis=1)


@dataclass(frozen=True)
class RankedState:
    """A ranker with what is known at a moment. It ranks for queries, for it looks at owner and time too."""

    state: State
    ranker: Ranker | None
    """None as long as too little is known to train one: then the models' shares are added up."""

    def slates(self, queries: Queries, k: int) -> Int32:
        """(n, k) the best candidates of each query, best first; -1 where there are fewer."""
        out = np.full((len(queries), min(k, len(self.state.artists))), -1, dtype=np.int32)
        for start in range(0, len(queries), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(queries)))
            self._rank(queries.take(part), out[start : start + CHUNK])
        return out

    def _rank(self, queries: Queries, out: Int32) -> None:
        asked = Asked.of(queries)
        rows = self.state.candidates(asked)
        if self.ranker is None:
            shares = [vote for name, vote in rows.votes.items() if name.endswith(".share")]
            scores: Float64 = np.stack(shares).sum(axis=0, dtype=np.float64)
        else:
            scores = self.ranker.score(self.state.features(asked, rows)[1])
        if queries.mask_history:
            span = len(self.state.artists)
            heard = queries.histories.rows * span + queries.histories.values
            scores[np.isin(rows.query * span + rows.item, heard)] = -np.inf
        order = np.lexsort((rows.item, -scores, rows.query))
        query = rows.query[order]
        place = np.arange(len(query)) - np.searchsorted(query, query)
        shown = (place < out.shape[1]) & np.isfinite(scores[order])
        out[query[shown], place[shown]] = rows.item[order][shown]


@dataclass
class Lessons:
    """What a ranker is trained on, gathered as time goes by."""

    ends: list[Int64] = field(default_factory=list)
    """Of each row the day on which its session ended: only from the next day on may it be learned from."""
    queries: list[Int64] = field(default_factory=list)
    right: list[Bool] = field(default_factory=list)
    features: list[Float32] = field(default_factory=list)
    names: tuple[str, ...] = ()

    def add(self, state: State, queries: Queries, numbers: Int64, ends: Int64, negatives: int, seed: int) -> None:
        """The candidates of the queries whose target is among them: the target, and a sample of the others."""
        for start in range(0, len(queries), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(queries)))
            asked = Asked.of(queries.take(part))
            rows = state.candidates(asked)
            targets = queries.targets.values[part]
            right = rows.item == targets[rows.query]
            found = np.bincount(rows.query[right], minlength=len(part)) > 0
            share = negatives / np.maximum(np.bincount(rows.query, minlength=len(part)), 1)
            drawn = np.random.default_rng((seed, int(numbers[part[0]]))).random(len(right)) < share[rows.query]
            kept = found[rows.query] & (right | drawn)
            if kept.any():
                self.names, features = state.features(asked, rows.take(kept))
                self.features.append(features)
                self.queries.append(numbers[part][rows.query[kept]])
                self.ends.append(ends[part][rows.query[kept]])
                self.right.append(right[kept])

    def until(self, day: int) -> tuple[Float32, Bool, Int64]:
        """Features, right and queries of the rows that were known before the day."""
        if not self.ends:
            return np.zeros((0, 0), np.float32), np.zeros(0, bool), np.zeros(0, np.int64)
        known = np.concatenate(self.ends) < day
        return (
            np.concatenate(self.features)[known],
            np.concatenate(self.right)[known],
            np.concatenate(self.queries)[known],
        )


class Ranked(BaseModel):
    """Candidates of simple models, ranked by trees over features of the moment (recsys.ranking).

    Used in evaluation: it looks at the owner and the time of a query, which no served bundle is told yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: ClassVar[str] = "ranked"

    sources: dict[str, SerializeAsAny[Baseline]] = Field(default={n: cls() for n, cls in SOURCES.items()}, min_length=1)
    """Models over tracks, by name."""
    trees: Trees = Trees()
    """How the ranker is grown."""
    depth: int = Field(default=100, ge=1)
    """So many candidates of each source."""
    negatives: int = Field(default=40, ge=1)
    """So many wrong candidates, on average, stand beside a right one in training."""
    lessons: int = Field(default=40_000, ge=1)
    """At most so many queries, drawn from all that are known, are trained on."""
    growth: float = Field(default=1.5, gt=1)
    """Live: it is trained anew when it could learn from so many times as many queries."""
    start: int = Field(default=200, ge=1)
    """Live: so many right rows are needed for a first ranker."""
    held_out: float = Field(default=0.2, gt=0, lt=1)
    """Static: share of the plays that is asked for in training from what came before."""
    origins: int = Field(default=3, ge=1)
    """Static: so many times, from the end backwards, each share from what came before it."""
    held_out_by: Literal["owner", "time"] = "time"
    """Static: the plays of each owner, or of all; as the data are split."""
    without: tuple[str, ...] = ()
    """Endings of names of features that are left out, as in an ablation."""

    @field_validator("sources", mode="before")
    @classmethod
    def _by_name(cls, sources: Mapping[str, Any]) -> dict[str, Baseline]:
        if unknown := set(sources) - set(SOURCES):
            raise ValueError(f"no source of candidates: {sorted(unknown)}; there are {sorted(SOURCES)}")
        return {name: SOURCES[name].model_validate(config) for name, config in sources.items()}

    @model_validator(mode="after")
    def _something_comes_before(self) -> Self:
        if self.origins * self.held_out >= 1:
            raise ValueError("origins x held_out must be below 1: something must come before what is held out")
        return self

    @property
    def random(self) -> bool:
        """It draws its lessons, and its trees their rows."""
        return True

    def seeded(self, seed: int) -> Self:
        """The same with that seed."""
        return self.model_copy(update={"trees": self.trees.model_copy(update={"seed": seed})})

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> RankedState:
        """Once: the ranker learns to foresee the latest plays of ``train`` from those before; then all are known.

        And the plays before the latest from those before them, ``origins`` times.
        """
        place, lessons, before = self._place(train), Lessons(), 0
        for origin in range(self.origins):
            cut = 1 - (origin + 1) * self.held_out
            queries, ends = _practice(train.take((place > cut) & (place <= cut + self.held_out)))
            chosen = _drawn(len(queries), self.lessons // self.origins, self.trees.seed)
            state = self._frozen(train.take(place <= cut), as_of)
            numbers = before + chosen
            lessons.add(state, queries.take(chosen), numbers, ends[chosen], self.negatives, self.trees.seed)
            before += len(queries)
        features, right, of = lessons.until(np.iinfo(np.int64).max)
        ranker = Ranker.train(features, right, of, lessons.names, self.trees) if right.any() else None
        return RankedState(self._frozen(train, as_of), ranker)

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, RankedState]]:
        """For each distinct day, oldest first, what is known of the days before; see Baseline.live.

        Each earlier session is a lesson of its own day: what was known then, and what was played. A state is good
        until the next one is asked for.
        """
        asked = np.unique(days)
        if not len(asked):
            return
        ended = start_days(history, "the live protocol").astype(np.int64)
        past = history.take(ended < asked[-1].astype(np.int64))
        order = np.argsort(ended[ended < asked[-1].astype(np.int64)], kind="stable")
        past = past.take(order)
        known_from = start_days(past, "the live protocol").astype(np.int64)
        queries, ends = _practice(past)
        chosen = _drawn(len(queries), self.lessons, self.trees.seed)
        queries, ends = queries.take(chosen), ends[chosen]
        assert queries.days is not None
        wanted = np.union1d(asked, queries.days)
        memory, lessons, done = Memory.of(past), Lessons(), 0
        models = _live(self.sources, past, wanted)
        by_artist = _live(BY_ARTIST, _artists(past), wanted)
        ranker: Ranker | None = None
        trained_on = 0
        for day in wanted:
            upto = int(np.searchsorted(known_from, day.astype(np.int64)))
            memory.add(np.arange(past.items.offsets[done], past.items.offsets[upto]))
            done = upto
            state = State(memory, next(models), next(by_artist), artists_of(past), self.depth, self.without)
            if day in asked:
                features, right, of = lessons.until(int(day.astype(np.int64)))
                if right.sum() >= max(self.start, self.growth * trained_on):
                    ranker, trained_on = Ranker.train(features, right, of, lessons.names, self.trees), int(right.sum())
                yield day, RankedState(state, ranker)
            today = np.flatnonzero(queries.days == day)
            lessons.add(state, queries.take(today), chosen[today], ends[today], self.negatives, self.trees.seed)

    def _place(self, train: Sequences) -> Float64:
        """(n,) where each sequence ends, as a share of the plays of all or of its owner, oldest first: above 0 to 1."""
        starts = np.arange(len(train)) if train.starts is None else train.starts
        owners = train.owners if self.held_out_by == "owner" else np.zeros(len(train), np.int64)
        order = np.lexsort((starts, owners))
        plays = np.cumsum(train.items.lengths[order])
        of = owners[order]
        first = np.searchsorted(of, of)
        upto = plays - (plays[first] - train.items.lengths[order][first])
        place = np.zeros(len(train))
        place[order] = upto / np.maximum(np.bincount(of, train.items.lengths[order])[of], 1)
        return place

    def _frozen(self, train: Sequences, as_of: np.datetime64 | None) -> State:
        memory = Memory.of(train)
        memory.add(np.argsort(memory.plays.time, kind="stable"))
        models = {name: model.fit(train, as_of) for name, model in self.sources.items()}
        by_artist = {name: model.fit(_artists(train), as_of) for name, model in BY_ARTIST.items()}
        return State(memory, models, by_artist, artists_of(train), self.depth, self.without)


def _practice(sequences: Sequences) -> tuple[Queries, Int64]:
    """Every next track of the sequences, by the day on which their session began, and the day on which it ended."""
    times = play_times(sequences.items, sequences.starts)
    first = np.minimum(sequences.items.offsets[:-1], max(len(times) - 1, 0))
    begun = (times[first] * 86_400e6).astype("datetime64[us]")
    queries = next_track(replace(sequences, starts=begun))
    ends = start_days(sequences, "a learned ranker").astype(np.int64)
    return queries, ends[queries.clusters]


def _drawn(n: int, most: int, seed: int) -> Int64:
    """At most so many of n, in their order."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])


def _artists(sequences: Sequences) -> Sequences:
    """The same with artists in the place of tracks."""
    artists = artists_of(sequences)
    items = Ragged(artists[sequences.items.values].astype(np.int32), sequences.items.offsets)
    return replace(sequences, items=items, n_items=int(artists.max(initial=0)) + 1, artists=None)


def _live(models: Mapping[str, Baseline], history: Sequences, days: Days) -> Iterator[dict[str, Scorer]]:
    """The models' states on each of the days."""
    for states in zip(*(model.live(history, days) for model in models.values()), strict=True):
        yield {name: scorer for name, (_, scorer) in zip(models, states, strict=True)}
