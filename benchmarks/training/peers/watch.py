"""A Lightning trainer that obeys the session: RecTools and RePlay train by one."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from session import Score, Session


def trainer(
    lightning: ModuleType,
    session: Session,
    positions: Callable[[Any], int],
    score: Score,
) -> Any:
    """``positions`` counts a batch's targets."""

    def evaluated(module: Any, histories: np.ndarray) -> np.ndarray:
        module.eval()
        scores = score(histories)
        module.train()
        return scores

    class Watch(lightning.Callback):  # type: ignore[name-defined]  # known at run time only
        def on_train_start(self, trainer: Any, module: Any) -> None:
            session.begin(lambda histories: evaluated(module, histories))

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            session.batch_done(positions(batch))

        def __deepcopy__(self, memo: Any) -> Any:
            return self

    return lightning.Trainer(
        max_epochs=-1,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        callbacks=[Watch()],
    )
