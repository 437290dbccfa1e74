"""Who has seen which arm, and since when.

An exposure is the first answer that a listener was really given by an arm: its bundle and its policy, on a surface that
the experiment acts on. The server notes the arms of every answer with its impressions, and no arm where the arm's
bundle was away or the request named a bundle itself; so the impressions hold every exposure.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl


def exposures(impressions: pl.LazyFrame, overridden: Collection[str] = ()) -> pl.LazyFrame:
    """One row a listener, experiment and arm, by the table `impressions` (recsys.schema).

    Columns: user_id, experiment, arm, ts and request_id and bundle of the first answer, answers (how many there were),
    arms_met (how many arms of the experiment the listener has met: more than one where shares were changed while it
    ran; analyse those who met one). ``overridden``: listeners to leave out, who were put into an arm by hand.

    >>> rows = {"request_id": ["r2", "r1", "r3"], "ts": [7, 3, 9], "user_id": ["anna", "anna", None]}
    >>> table = pl.LazyFrame(rows).with_columns(arms=pl.lit(["fresh-home=control"]), bundle=pl.lit("b1"))
    >>> exposures(table).select("user_id", "experiment", "arm", "request_id", "answers").collect().rows()
    [('anna', 'fresh-home', 'control', 'r1', 2)]
    """
    named = pl.col("arms").str.splitn("=", 2).struct
    return (
        impressions.filter(pl.col("user_id").is_not_null() & ~pl.col("user_id").is_in(list(overridden)))
        .unique("request_id")
        .explode("arms")
        .drop_nulls("arms")
        .with_columns(experiment=named.field("field_0"), arm=named.field("field_1"))
        .sort("ts", "request_id")
        .group_by("user_id", "experiment", "arm")
        .agg(pl.col("ts", "request_id", "bundle").first(), answers=pl.len())
        .with_columns(arms_met=pl.len().over("user_id", "experiment"))
        .sort("experiment", "arm", "ts", "user_id")
    )
