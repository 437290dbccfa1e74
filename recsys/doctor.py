"""`segue doctor`: what is installed, which Java, which data, which champion; and the line to type for what is missing.

Looks at metadata and files only, so that it answers at once and also where an installation is broken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import typer

from recsys.bundle import read_manifest
from recsys.errors import InputError, SegueError
from recsys.files import read_json
from recsys.workspace import Workspace

JAVA_NEEDED = 17
EXTRAS = ("client", "serve", "train", "spark", "airflow")
REMAKE = {
    "imports": "rm -r WORKSPACE/imports/THAT_FOLDER && segue import FORMAT PATH",
    "data sets": "rm -r WORKSPACE/features/THAT_FOLDER && segue features",
    "champion": "rm WORKSPACE/champion.json && segue promote",
}
"""The line to type where one of them is damaged."""


@dataclass(frozen=True, slots=True)
class Finding:
    """ok: there and good; missing: not there, which some commands need; broken: there and wrong."""

    state: Literal["ok", "missing", "broken"]
    what: str
    found: str
    mend: str = ""
    """The line to type."""


def doctor() -> None:
    """Say what is installed and what the workspace holds, each with the line to type where something is missing.

    Ends with status 1 where something is broken; what is merely missing breaks nothing.
    """
    from rich.console import Console
    from rich.markup import escape

    colours = {"ok": "green", "missing": "yellow", "broken": "bold red"}
    console = Console(soft_wrap=True, highlight=False)
    broken = False
    for finding in findings():
        colour = colours[finding.state]
        console.print(f"[{colour}]{finding.state:<8}[/][bold]{finding.what:<14}[/]{escape(finding.found)}")
        if finding.mend:
            console.print(f"{'':<22}[dim]type:[/] {escape(finding.mend)}")
        broken |= finding.state == "broken"
    if broken:
        raise typer.Exit(1)


def findings() -> Iterator[Finding]:
    yield _python()
    yield from _extras()
    yield _torch()
    yield _java()
    yield _data()
    yield from _workspace(Workspace())


def _python() -> Finding:
    found = f"{sys.version.split()[0]} ({sys.executable})"
    if sys.version_info[:2] != (3, 11):
        line = "make install PYTHON=/path/to/python3.11"
        return Finding("ok", "python", f"{found}; the pinned versions were seen to work on 3.11", line)
    return Finding("ok", "python", found)


def _extras() -> Iterator[Finding]:
    """What each extra asks for against what is installed, exact pins included."""
    needed: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for requirement in requires("segue") or ():
        asked_by = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        name, pin = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?(?:==([\w.]+))?", requirement)[0]
        if asked_by and name != "segue":
            needed[asked_by[1]].append((name, pin))
    needed["train"] += [("torchrec", ""), ("fbgemm-gpu", "") if _version("fbgemm-gpu") else ("fbgemm-gpu-cpu", "")]
    for extra in EXTRAS:
        installed = {name: _version(name) for name, _ in needed[extra]}
        absent = [name for name, found in installed.items() if found is None]
        wrong = [
            f"{n} {installed[n]} instead of {pin}"
            for n, pin in needed[extra]
            if pin and installed[n] not in (pin, None)
        ]
        line = "make install" if extra == "train" else f"pip install 'segue[{extra}]'"
        if wrong:
            yield Finding("broken", extra, ", ".join(wrong), line)
        elif absent:
            yield Finding("missing", extra, f"without {', '.join(absent)}", line)
        else:
            yield Finding("ok", extra, ", ".join(f"{name} {found}" for name, found in installed.items()))


def _torch() -> Finding:
    """Read from torch's version file: importing it takes seconds."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return Finding("missing", "torch", "not installed; only training needs it", "make install")
    cuda = re.search(r"^cuda[^=]*= '([\d.]+)'", (Path(spec.origin).parent / "version.py").read_text(), re.MULTILINE)
    card = shutil.which("nvidia-smi") is not None
    build = f"CUDA {cuda[1]}" if cuda else "CPU build"
    found = f"{_version('torch')}, {build}, {'a' if card else 'no'} GPU on this machine"
    if card and not cuda:
        return Finding("ok", "torch", f"{found}: it stays idle", "make install GPU=1")
    return Finding("ok", "torch", found)


def _java() -> Finding:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    line = f"sudo apt-get install openjdk-{JAVA_NEEDED}-jre-headless"
    if java is None and home:
        return Finding("broken", "java", f"JAVA_HOME={home} holds no bin/java", "unset JAVA_HOME")
    if java is None:
        return Finding("missing", "java", f"none; Spark needs Java {JAVA_NEEDED}", line)
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, errors="replace", check=False).stderr
    except OSError as error:
        said = str(error)
    found = re.search(r'version "(\d+)[^"]*"', said)
    if found is None or int(found[1]) < JAVA_NEEDED:
        first = (said.splitlines() or ["says no version"])[0]
        return Finding("broken", "java", f"{java}: {first}; Spark needs Java {JAVA_NEEDED}", line)
    return Finding("ok", "java", f"{found[0]} ({java})")


def _data() -> Finding:
    given = os.environ.get("SEGUE_DATA")
    if given and not Path(given).is_dir():
        return Finding("broken", "data", f"SEGUE_DATA={given} is no folder", "export SEGUE_DATA=/path/to/data")
    for name, folder in (("$SEGUE_DATA", given), ("./data", "data")):
        if folder and Path(folder).is_dir():
            sets = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
            return Finding("ok", "data", f"{name} = {Path(folder).absolute()}: {', '.join(sets) or 'empty'}")
    text = "no $SEGUE_DATA and no ./data: the demo uses the simulated world"
    return Finding("missing", "data", text, "export SEGUE_DATA=/path/to/data")


def _workspace(workspace: Workspace) -> Iterator[Finding]:
    if not workspace.root.is_dir():
        yield Finding("missing", "workspace", f"{workspace.root} is not there yet", "segue demo")
        return
    yield Finding("ok", "workspace", str(workspace.root))
    for what, look in (("imports", _imports), ("data sets", _datasets), ("champion", _champion)):
        try:
            yield look(workspace)
        except SegueError as error:
            yield Finding("broken", what, str(error), REMAKE[what])


def _imports(workspace: Workspace) -> Finding:
    manifests = [_manifest(folder, "source", "rows") for folder in workspace.import_folders()]
    if not manifests:
        return Finding("missing", "imports", "none", "segue import FORMAT PATH")
    return Finding("ok", "imports", ", ".join(f"{m['source']} ({m['rows']:,} rows)" for m in manifests))


def _datasets(workspace: Workspace) -> Finding:
    manifests = _dataset_manifests(workspace)
    if not manifests:
        return Finding("missing", "data sets", "none", "segue features")
    simulated = (" (simulated)" if m["simulated"] else "" for m in manifests)
    described = (f"{m['name']} {m['fingerprint']}{s}" for m, s in zip(manifests, simulated, strict=True))
    return Finding("ok", "data sets", ", ".join(described))


def _dataset_manifests(workspace: Workspace) -> list[dict[str, Any]]:
    folders = sorted(path.parent for path in workspace.features.glob("[!.]*/manifest.json"))
    return [_manifest(folder, "name", "fingerprint", "simulated") for folder in folders]


def _manifest(folder: Path, *fields: str) -> dict[str, Any]:
    """Raises InputError where the manifest of ``folder`` cannot be read or lacks one of ``fields``."""
    found = read_json(folder / "manifest.json")
    if missing := [field for field in fields if not isinstance(found, dict) or field not in found]:
        raise InputError(f"{folder}/manifest.json: lacks {', '.join(missing)}")
    return dict(found)


def _champion(workspace: Workspace) -> Finding:
    champion = workspace.champion()
    if champion is None:
        return Finding("missing", "champion", "none", "segue train && segue evaluate && segue promote")
    manifest = read_manifest(workspace.bundles / champion.bundle)
    fingerprints = {m["name"]: m["fingerprint"] for m in _dataset_manifests(workspace)}
    days = (datetime.now(UTC) - datetime.fromisoformat(manifest.created_at)).days
    data = f"data {manifest.data.dataset} {manifest.data.fingerprint}"
    found = f"{champion.bundle} ({manifest.model}), {data}, {days} days old; {champion.reason}"
    if fingerprints.get(manifest.data.dataset, manifest.data.fingerprint) != manifest.data.fingerprint:
        line = "segue train && segue evaluate && segue promote"
        return Finding("ok", "champion", f"{found}; the data set has changed since", line)
    return Finding("ok", "champion", found)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
