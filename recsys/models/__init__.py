"""The networks, one file each. To add one: write its file, add it to MODELS."""

from __future__ import annotations

from recsys.models.sasrec import SASRec

MODELS: dict[str, type[SASRec]] = {"sasrec": SASRec}
