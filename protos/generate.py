"""Generate the Python code of protos/segue: `python protos/generate.py` (grpcio-tools and mypy-protobuf, extra `dev`).

The generated files lie beside the protos and are committed; tests/serving/test_codegen.py makes them anew and compares.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROTOS = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Write `*_pb2.py`, `*_pb2_grpc.py` and their `.pyi` under ``out``."""
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    outputs = (f"--{plugin}_out={out.resolve()}" for plugin in ("python", "grpc_python", "mypy", "mypy_grpc"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, *files]
    # protoc finds the mypy plug-ins on the path; they lie beside the interpreter, whose environment may not be active.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(command, cwd=PROTOS, check=True, env={**os.environ, "PATH": path})


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS)
