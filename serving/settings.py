"""Settings of the server: table `[serve]` of segue.toml."""

from __future__ import annotations

from pydantic import Field

from recsys.settings import Settings


class ServeSettings(Settings, table="serve"):
    """How `segue serve` listens, how much it takes at once, and how it ends."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 or [::] for every interface. There is no authentication yet: keep it private."""
    port: int = Field(default=50051, ge=0, le=65535)
    """0: any free port."""
    threads: int = Field(default=8, ge=1, le=256)
    """Requests worked on at once; numpy and faiss release the interpreter for the long parts."""
    max_batch: int = Field(default=32, ge=1, le=256)
    """Requests worked on together at most."""
    max_concurrent: int = Field(default=128, ge=1)
    """Requests taken in at once, worked on or waiting. More get RESOURCE_EXHAUSTED at once."""
    max_message_bytes: int = Field(default=4 << 20, ge=1 << 10)
    """Largest request. A larger one gets RESOURCE_EXHAUSTED."""
    watch_s: float = Field(default=1.0, gt=0)
    """Seconds between two looks at champion.json."""
    lame_duck_s: float = Field(default=0.5, ge=0)
    """Seconds after SIGTERM in which health says NOT_SERVING and requests are still answered, so that a load balancer
    looks elsewhere in time: set it above the balancer's health interval."""
    drain_s: float = Field(default=20.0, ge=0)
    """Seconds that running requests may take after that."""
    history_length: int = Field(default=50, ge=1, le=500)
    """How many of a listener's latest tracks the server knows from the data set."""
