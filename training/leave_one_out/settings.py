"""The settings of `segue evaluate sequential`: table `leave_one_out` of segue.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from recsys.settings import Settings


class LeaveOneOutSettings(Settings, table="leave_one_out"):
    """How many runs, on how many rows."""

    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    """Runs of whatever is random: seeds 1, 2, 3 ... The first one is also that of tuning."""
    valid_queries: int = Field(default=5000, ge=1)
    """Validation queries for the networks and the weights of systems, at most: a fixed sample. All test queries are
    asked."""
    tuning_queries: int = Field(default=2000, ge=1)
    """As many of them, at most, for the settings of simple models, of which there are far more to try."""
    resamples: int = Field(default=1000, ge=100)
    """Of the bootstrap."""
    threads: int = Field(default=1, ge=1)
    """Of torch. More help on idle cores only."""
