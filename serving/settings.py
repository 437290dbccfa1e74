"""Settings of the server: table `[serve]` of segue.toml."""

from __future__ import annotations

from pydantic import Field

from recsys.settings import Settings


class ServeSettings(Settings, table="serve"):
    """How `segue serve` listens, how much it takes at once, and how it ends."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 or [::] for every interface, which needs [security]."""
    port: int = Field(default=50051, ge=0, le=65535)
    """0: any free port."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that share the port; as many as there are cores for them. They share bundles and state, and one that
    dies is replaced."""
    bundles: tuple[str, ...] = ()
    """Bundles of the workspace that are loaded beside the champion, for requests that name them."""
    watch_s: float = Field(default=1.0, gt=0)
    """Seconds between two looks at champion.json and the experiments."""
    history_length: int = Field(default=50, ge=1, le=500)
    """How many of a listener's latest tracks the server knows from the data set."""

    max_batch: int = Field(default=32, ge=1, le=256)
    """Requests worked on together at most."""
    max_waiting: int = Field(default=96, ge=1)
    """Requests that a worker lets wait. More get RESOURCE_EXHAUSTED at once, with a hint when to try again."""
    max_wait_ms: float = Field(default=500.0, gt=0)
    """A request that would wait longer, or longer than its caller does, is refused at once in the same way."""
    shed_share: float = Field(default=0.2, gt=0, lt=1)
    """When more than this share of the requests of the last 5 s was refused, health says NOT_SERVING for the service
    "overload", and SERVING again once it is less than half of it."""
    health_when_shedding: bool = False
    """Say so for the server as a whole too. Only where a balancer can send requests elsewhere: if all servers say it at
    once, many balancers send nothing to any."""
    max_concurrent: int = Field(default=256, ge=1)
    """Calls that a worker holds at once, each in a thread: requests that wait or are worked on, and open streams. The
    last wall: more get RESOURCE_EXHAUSTED without a hint, health checks too. So keep it well above `max_waiting`,
    `max_batch` and `max_streams` together."""
    max_streams: int = Field(default=32, ge=1)
    """Of these, streams of events, which stay open for long. More get RESOURCE_EXHAUSTED."""

    max_message_bytes: int = Field(default=4 << 20, ge=1 << 10)
    """Largest request. A larger one gets RESOURCE_EXHAUSTED. Messages may be nested 100 deep, as protobuf has it."""
    max_metadata_bytes: int = Field(default=16 << 10, ge=1 << 10)
    """Largest headers of a call, keys and tokens among them."""
    max_calls_per_connection: int = Field(default=100, ge=1)
    """Calls that one connection may have open; more wait at the client. So one client alone cannot take all threads."""
    max_connection_age_s: float = Field(default=3600.0, gt=0)
    """A connection is closed after that time, once its calls have ended, so that clients spread anew over workers and
    machines."""
    max_connection_idle_s: float = Field(default=900.0, gt=0)
    """A connection without a call is closed after that time."""
    ping_s: float = Field(default=60.0, ge=1)
    """A silent connection is pinged so often, and closed where no answer comes within 20 s: its caller is gone."""
    fewest_ping_s: float = Field(default=10.0, gt=0)
    """A client that pings more often than that is sent away."""

    lame_duck_s: float = Field(default=0.5, ge=0)
    """Seconds after SIGTERM in which health says NOT_SERVING and requests are still answered, so that a load balancer
    looks elsewhere in time: set it above the balancer's health interval."""
    drain_s: float = Field(default=20.0, ge=0)
    """Seconds that running requests may take after that."""
