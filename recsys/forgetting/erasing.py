"""All that the workspace's tables hold of a listener, counted or erased."""

from __future__ import annotations

import fcntl
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recsys.forgetting.manifests import recount_dataset, recount_import
from recsys.forgetting.tables import Listener, traces_in_dataset, traces_in_import, traces_in_store
from recsys.forgetting.traces import Trace, remove_halves
from recsys.workspace import Workspace

Found = dict[tuple[str, str], int]
"""(where, table) -> rows."""


Progress = Callable[[int, int], object]
"""Is told how many files are done, of so many."""


def _quiet(done: int, of: int) -> None:
    pass


def count_rows(workspace: Workspace, user_id: str, progress: Progress = _quiet) -> Found:
    """What `erase_rows` would erase."""
    return _each(workspace, Listener.of(workspace, user_id), lambda trace: trace.count(), progress)


def erase_rows(workspace: Workspace, user_id: str, progress: Progress = _quiet) -> Found:
    """Rewrite every table that holds the listener, and have the manifests say so.

    Imports and feature jobs wait meanwhile. Of what is interrupted every file is whole; the same call goes on with it.
    Data sets come before the imports, which alone know what the listener's playlists are. Raises InputError for a file
    that cannot be read.
    """
    with _alone(workspace):
        who = Listener.of(workspace, user_id)
        for table in {trace.path.parent for _, trace in _traces(workspace, who)}:
            remove_halves(table)
        for dataset in _datasets(workspace):
            if any(trace.count() for trace in traces_in_dataset(dataset, who)):
                _remove_arrays(workspace, dataset.name)
        found = _each(workspace, who, lambda trace: trace.erase(), progress)
        for dataset in _datasets(workspace):
            recount_dataset(dataset, user_id)
        for folder in workspace.import_folders():
            recount_import(folder)
    return found


def _each(workspace: Workspace, who: Listener, act: Callable[[Trace], int], progress: Progress) -> Found:
    traces = list(_traces(workspace, who))
    found: Counter[tuple[str, str]] = Counter()
    for done, (folder, trace) in enumerate(traces):
        progress(done, len(traces))
        where = folder.relative_to(workspace.root).as_posix()
        table = trace.path.parent.name if trace.path.parent != folder else trace.path.stem
        found[where, table] += act(trace)
    progress(len(traces), len(traces))
    return {place: rows for place, rows in found.items() if rows}


def _traces(workspace: Workspace, who: Listener) -> Iterator[tuple[Path, Trace]]:
    for dataset in _datasets(workspace):
        yield from ((dataset, trace) for trace in traces_in_dataset(dataset, who))
    for store in _folders(workspace.store):
        yield from ((store, trace) for trace in traces_in_store(store, who))
    for folder in workspace.import_folders():
        yield from ((folder, trace) for trace in traces_in_import(folder, who))


def _datasets(workspace: Workspace) -> list[Path]:
    return [path for path in _folders(workspace.features) if (path / "manifest.json").is_file()]


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("[!.]*") if path.is_dir())


def _remove_arrays(workspace: Workspace, dataset: str) -> None:
    """They are made again from the data set when training asks for them."""
    for folder in [workspace.arrays / dataset, *workspace.arrays.glob(f".{dataset}.*/")]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """No import and no feature job runs meanwhile, and what killed ones left behind is gone or put right."""
    with ExitStack() as held:
        for lock in (*workspace.imports.glob(".lock"), *workspace.features.glob(".*.lock")):
            fcntl.flock(held.enter_context(lock.open("w")), fcntl.LOCK_EX)
        for left in (*workspace.imports.glob(".*/"), *workspace.features.glob(".*/")):
            target = left.parent / left.name[1:].rpartition(".old.")[0]
            if (left / "old").is_dir() and not target.exists():
                (left / "old").rename(target)
            shutil.rmtree(left)
        for half in workspace.store.glob("*/*.half"):
            half.unlink()
        yield
