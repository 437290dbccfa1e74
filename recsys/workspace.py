"""Where things lie between two commands: one folder, a sub-folder a step.

imports/<import>/<table>/*.parquet    canonical tables, a folder an import, with manifest.json; changed by none but
                                      recsys.forgetting
features/<dataset>/                   training tables (recsys.dataset)
arrays/<dataset>/                     their training rows as memory maps (training.loader.arrays); made again if removed
store/<dataset>/                      the feature store (Feast): registry, history, online values
runs/<run>/                           checkpoints of a training run
bundles/<bundle>/                     model bundles (recsys.bundle)
serving/<bundle>-<sum>/               bundles as workers map them (serving.catalogue.prepared); made again if removed
log/                                  what listeners did and were shown (recsys.eventlog_schema), unless Kafka has it
state/                                what workers share of listeners and answers, unless Redis has it (serving.store)
reports/                              what a person reads: tables, plots
mlflow.db, mlartifacts/               the registry, unless MLFLOW_TRACKING_URI says otherwise
champion.json                         the bundle that is served
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
from pydantic import BaseModel

from recsys import schema
from recsys.errors import InputError, MissingError
from recsys.files import read_json, read_model, write_json


class Champion(BaseModel):
    """What `champion.json` holds."""

    bundle: str
    """Name of the folder under bundles/."""
    dataset: str
    promoted_at: str
    reason: str
    """Why the gate let it pass, in one line."""
    previous: list[str] = []
    """Bundles that were served before, the latest last: where a rollback goes."""
    not_before: str | None = None
    """Set by a rollback: the gate passes over neural bundles made earlier, unless one is named."""


class Workspace:
    """The workspace folder: `--workspace`, else $SEGUE_WORKSPACE, else ./workspace."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path(root or os.environ.get("SEGUE_WORKSPACE", "workspace")).absolute()

    @property
    def imports(self) -> Path:
        return self.root / "imports"

    @property
    def features(self) -> Path:
        return self.root / "features"

    @property
    def arrays(self) -> Path:
        return self.root / "arrays"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def serving(self) -> Path:
        return self.root / "serving"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def import_folders(self, sources: list[str] | None = None) -> list[Path]:
        """The finished imports, by name; with ``sources`` only those of these sources (`yes`, `wfmu`, ...)."""
        folders = sorted(path.parent for path in self.imports.glob("[!.]*/manifest.json"))
        if sources is None:
            return folders
        chosen = [f for f in folders if read_json(f / "manifest.json")["source"] in sources]
        if missing := set(sources) - {read_json(f / "manifest.json")["source"] for f in chosen}:
            raise MissingError(
                f"{self.root} holds no import of {', '.join(sorted(missing))}; import it: segue import FORMAT PATH"
            )
        return chosen

    def real_sources(self) -> list[str]:
        """Every source but the simulated ones: what a real source may share tracks and content with."""
        manifests = [read_json(folder / "manifest.json") for folder in self.import_folders()]
        return sorted({manifest["source"] for manifest in manifests if not manifest["simulated"]})

    def table_files(self, table: str, sources: list[str] | None = None) -> list[Path]:
        """The Parquet files of a canonical table over all imports (or those of ``sources``)."""
        return [f for folder in self.import_folders(sources) for f in sorted((folder / table).glob("*.parquet"))]

    def table(self, name: str, sources: list[str] | None = None) -> pl.LazyFrame:
        """A canonical table over all imports, lazily; empty with the right columns where no import has it."""
        files = self.table_files(name, sources)
        if not files:
            empty = pl.from_arrow(schema.TABLES[name].empty_table())
            assert isinstance(empty, pl.DataFrame)
            return empty.lazy()
        return pl.scan_parquet(files, glob=False)

    def dataset_folder(self, dataset: str | None = None) -> Path:
        """The folder of a data set; without a name the only one there is."""
        if dataset is not None:
            if not (self.features / dataset / "manifest.json").is_file():
                raise MissingError(f"no data set {dataset!r} in {self.features}; make it: segue features")
            return self.features / dataset
        found = sorted(path.parent for path in self.features.glob("[!.]*/manifest.json"))
        if not found:
            raise MissingError(f"no data set in {self.features}; make one: segue import, then segue features")
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise InputError(f"--dataset: say which of {names}")
        return found[0]

    def champion(self) -> Champion | None:
        path = self.root / "champion.json"
        return read_model(path, Champion) if path.is_file() else None

    def set_champion(self, champion: Champion) -> None:
        """Atomic: a server that reads the file sees the old champion or the new one."""
        write_json(self.root / "champion.json", champion.model_dump())
