"""The stages of a request's way, on the small bundle: what is asked for is what comes out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from segue.v1.recommendation_pb2 import Fallback

from recsys.policy import Policy, SurfacePolicy
from recsys.ragged import Int32
from recsys.ranking.filters import NoExplicit
from serving.models.model import Model
from serving.pipeline.query import Fallen, Query, Work


def items(*numbers: int) -> Int32:
    return np.array(numbers, np.int32)


def slate(model: Model, query: Query, policy: SurfacePolicy | None = None) -> Work:
    work = Work(query)
    model.pipeline("playlist", policy).run([work])
    return work


def test_neither_seeds_nor_disliked_tracks_come(model: Model) -> None:
    free = slate(model, Query(items(0, 2), 10)).slate.candidates.items.tolist()
    assert not {0, 2} & set(free)
    work = slate(model, Query(items(0, 2), 10, denied=items(*free[:3])))
    assert not set(free[:3]) & set(work.slate.candidates.items.tolist())


def test_a_batch_answers_each_request_as_it_would_alone(model: Model) -> None:
    queries = [
        Query(items(0, 2), 7),
        Query(items(), 3, nothing_known=Fallback.CODE_UNKNOWN_LISTENER),
        Query(items(5), 20, [NoExplicit()]),
        Query(items(39), 5),
        Query(items(1, 3, 5), 12, [NoExplicit()], denied=items(7), artist_spacing=0),
    ]
    together = [Work(query) for query in queries]
    model.pipeline("playlist").run(together)
    for query, work in zip(queries, together, strict=True):
        alone = slate(model, query)
        np.testing.assert_array_equal(alone.slate.candidates.items, work.slate.candidates.items)
        np.testing.assert_array_equal(alone.slate.candidates.scores, work.slate.candidates.scores)
        assert alone.fallbacks == work.fallbacks


def test_sources_asked_together_are_fused_by_rank(model: Model) -> None:
    """An item's score is the sum of 1 / (60 + its rank) over the sources that propose it."""
    policy = model.policy("playlist").with_changes({"sources": [["main", "popularity"]], "artist_spacing": 0})
    work = slate(model, Query(items(0), 40), policy)
    shown = work.slate.candidates
    assert not work.fallbacks
    assert set(shown.sources.tolist()) <= {0, 1}
    assert np.all(np.diff(shown.scores) <= 0)
    asked = slate(model, Query(items(0), 40), model.policy("playlist").with_changes({"artist_spacing": 0}))
    first = asked.slate.candidates.items[asked.slate.candidates.sources == 0]
    popular = slate(model, Query(items(), 40), policy).slate.candidates.items.tolist()
    popular = [item for item in popular if item != 0]
    votes = {item: 1 / (60 + rank) for rank, item in enumerate(first.tolist())}
    for rank, item in enumerate(popular):
        votes[item] = votes.get(item, 0) + 1 / (60 + rank)
    best = sorted(votes, key=lambda item: -votes[item])
    np.testing.assert_allclose(shown.scores, [votes[item] for item in best], rtol=1e-5)


def test_exploration_is_told_with_its_chances(model: Model) -> None:
    policy = model.policy("playlist").with_changes(
        {"exploration": {"slots": [1, 4], "pool": 8}, "artist_spacing": 0, "candidates": 40}
    )
    work = slate(model, Query(items(0), 6, request_id="r-1"), policy)
    drawn = np.flatnonzero(~np.isnan(work.slate.propensities))
    assert drawn.tolist() == [1, 4]
    np.testing.assert_allclose(work.slate.propensities[drawn], 1 / work.slate.pools[drawn])
    again = slate(model, Query(items(0), 6, request_id="r-1"), policy)
    np.testing.assert_array_equal(again.slate.candidates.items, work.slate.candidates.items)
    others = {
        tuple(slate(model, Query(items(0), 6, request_id=f"r-{i}"), policy).slate.candidates.items) for i in range(9)
    }
    assert len(others) > 1


def test_radio_without_a_policy_of_its_own_is_ranked_as_home_is(model: Model) -> None:
    home = model.policy("home").with_changes({"ranker": True})
    policy = Policy(surfaces={**model.bundle.policy.surfaces, "home": home})
    ranker = SimpleNamespace(
        card=SimpleNamespace(sources=["main"], vectors=None),
        score=lambda rows: np.arange(len(rows), dtype=np.float32),
    )
    ranked = replace(model, bundle=replace(model.bundle, policy=policy, rankers={"home": ranker}))
    answers = []
    for surface in ("home", "radio"):
        work = Work(Query(items(0), 5))
        ranked.pipeline(surface).run([work])
        assert not work.fallbacks
        answers.append(work.slate.candidates.scores.tolist())
    assert answers[0] == answers[1]
    assert answers[0][0] >= 4


def test_the_first_source_that_knows_answers(model: Model) -> None:
    lost = slate(model, Query(items(39), 5))
    assert [f.code for f in lost.fallbacks] == [Fallback.CODE_NO_EVIDENCE]
    stranger = slate(model, Query(items(), 5, nothing_known=Fallback.CODE_UNKNOWN_LISTENER))
    assert [f.code for f in stranger.fallbacks] == [Fallback.CODE_UNKNOWN_LISTENER]


def test_a_long_answer_in_the_batch_changes_no_other(model: Model) -> None:
    policy = model.policy("playlist").with_changes({"candidates": 5, "sources": [["main", "popularity"]]})
    alone = slate(model, Query(items(0), 5), policy)
    works = [Work(Query(items(0), 5)), Work(Query(items(2), 30))]
    model.pipeline("playlist", policy).run(works)
    np.testing.assert_array_equal(works[0].candidates.items, alone.candidates.items)
    np.testing.assert_array_equal(works[0].slate.candidates.scores, alone.slate.candidates.scores)
    assert len(works[1].slate.candidates) == 30


def test_a_step_is_told_also_where_the_store_was_away(model: Model) -> None:
    away = Fallen(Fallback.CODE_STATE_UNAVAILABLE)
    work = Work(Query(items(0), 40), fallbacks=[away])
    model.pipeline("playlist").run([work])
    assert work.fallbacks == [away, Fallen(Fallback.CODE_TOO_FEW_CANDIDATES)]


@pytest.mark.parametrize("limit", [1, 20, 40])
def test_what_each_stage_did_is_told(model: Model, limit: int) -> None:
    work = slate(model, Query(items(0), limit))
    assert [passed.name for passed in work.passed] == ["filters", "candidates", "ranker", "policies"]
    assert work.passed[0].tracks == 40
    assert work.passed[1].tracks == work.passed[2].tracks == len(work.candidates)
    assert work.passed[-1].tracks == len(work.slate.candidates)
    assert all(passed.ms >= 0 for passed in work.passed)
