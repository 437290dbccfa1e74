"""Run by test_walls under torchrun: a fault in both processes, of which rank 0 is slow to tell."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from recsys.errors import InputError
from training.engine.distributed import process_group

if __name__ == "__main__":
    with process_group("cpu") as group, group.failing_together():
        try:
            raise InputError("a fault of all")
        finally:
            if group.leads:
                time.sleep(3)
                Path(sys.argv[1]).write_text("told")
