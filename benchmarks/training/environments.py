"""An environment for each peer, made by pip from whatever index it is configured for, and kept for the next run."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from recsys.files import write_json

PEERS = {
    "rectools": ["rectools[torch]==0.19.0", "numpy<2"],
    "replay": ["replay-rec[torch]==0.22.0"],
    "recbole": ["recbole==1.2.1", "numpy==1.26.4", "pandas==2.2.3", "scipy==1.14.1", "setuptools<81"],
}
"""The least pins with which each one works beside the torch of this project."""
SHOWN = ("rectools", "replay-rec", "recbole", "torch", "torchrec", "numpy", "pytorch-lightning", "lightning")


@dataclass(frozen=True)
class Environments:
    """One folder a peer under ``root``; Segue runs in this environment."""

    root: Path

    def python(self, system: str) -> str:
        """The interpreter that a runner runs by."""
        return str(self.root / system / "bin/python") if system in PEERS else sys.executable

    def make(self, told: Callable[[str], object]) -> None:
        """Make those that are not there. Raises SystemExit with pip's words where it fails."""
        for peer, wanted in PEERS.items():
            done = self.root / peer / "versions.json"
            if done.exists():
                continue
            told(f"environment of {peer} (minutes, once)")
            venv.create(self.root / peer, with_pip=True, clear=True)
            # torch first and by itself: asked for with the rest, pip may take a CUDA build of gigabytes.
            torch = f"torch=={version('torch').partition('+')[0]}"
            for packages in ([torch], [torch, *wanted]):
                self._run(peer, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *packages)
            listed = json.loads(self._run(peer, "-m", "pip", "list", "--format", "json"))
            write_json(done, {package["name"].lower(): package["version"] for package in listed})

    def versions(self) -> dict[str, dict[str, str]]:
        """System -> package -> version, of those that matter."""
        found = {peer: json.loads((self.root / peer / "versions.json").read_text()) for peer in PEERS}
        found["segue"] = {name: version(name) for name in ("torch", "torchrec", "numpy")}
        return {system: {name: of[name] for name in SHOWN if name in of} for system, of in found.items()}

    def _run(self, peer: str, *arguments: str) -> str:
        ran = subprocess.run([self.python(peer), *arguments], capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"{peer}: {' '.join(arguments)}:\n{(ran.stderr or ran.stdout)[-2_000:]}")
        return ran.stdout
