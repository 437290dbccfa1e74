"""Writes what the documentation takes from the source: architecture.svg, data-contracts.md and settings.md.

python docs/generate.py [FOLDER]      default: this folder; a test generates them elsewhere and compares
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path

import grimp
import matplotlib as mpl
import pyarrow as pa
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch
from pydantic import BaseModel

from recsys import schema
from recsys.cli import ORDER
from recsys.settings import TABLES, Settings

ROOMS = ("features", "training", "serving")
WITH_SETTINGS = (
    "features.jobs.plan", "features.spark", "features.importers.base", "features.importers.formats.generic",
    "training.gate.rule", "serving.inspection.tracing", "serving.inspection.metrics_page", "serving.inspection.logs",
)  # fmt: skip
"""Modules that hold a component's settings beside the component."""
BESIDE = ("demo", "doctor", "report", "rollback", "experiments", "explain", "pull-log", "forget")
"""Commands that are no step on the way of the data."""
COLOURS = {"features": "#dcecf9", "training": "#e3f4df", "serving": "#fbe9d7", "recsys": "#eeeeee"}


def architecture(path: Path) -> None:
    """The rooms, what lies in each, the commands each offers, and the imports between them."""
    graph = grimp.build_graph("recsys", *ROOMS, cache_dir=None)
    arrows = {
        (importer.split(".")[0], imported.split(".")[0])
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    commands = {entry.name: entry.value.split(".")[0] for entry in entry_points(group="segue.commands")}

    mpl.rcParams.update({"svg.hashsalt": "segue", "svg.fonttype": "none", "font.family": "DejaVu Sans"})
    figure, axes = plt.subplots(figsize=(11, 7.4))
    axes.set(xlim=(0, 110), ylim=(0, 74))
    axes.axis("off")

    flow = [c for c in ORDER if c in commands and c not in BESIDE]
    axes.text(2, 71.5, "The way of the data: one command of segue a step", fontsize=11, weight="bold")
    width = 106 / len(flow)
    for i, name in enumerate(flow):
        x = 2 + i * width
        box(axes, x, 62.5, width - 3, 6, COLOURS[commands[name]])
        axes.text(x + (width - 3) / 2, 65.5, name, ha="center", va="center", fontsize=8)
        if i:
            axes.annotate("", (x - 0.2, 65.5), (x - 2.8, 65.5), arrowprops={"arrowstyle": "->"})

    axes.text(2, 57.5, "The rooms; an arrow is an import", fontsize=11, weight="bold")
    for i, room in enumerate(ROOMS):
        x = 2 + i * 36
        box(axes, x, 31, 33, 24, COLOURS[room])
        axes.text(x + 1.5, 52, f"{room}/", fontsize=10, weight="bold")
        listing(axes, graph, room, x + 1.5, 50, columns=3, step=10.8)
    centres = {room: (18.5 + i * 36, 31.0) for i, room in enumerate(ROOMS)}
    for importer, imported in sorted(arrows):
        if importer == imported:
            continue
        start = centres.get(importer, (54.5, 24.0))
        end = centres.get(imported, (start[0], 24.0))
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "lw": 1.6, "color": "black"})
    box(axes, 2, 4, 105, 20, COLOURS["recsys"])
    axes.text(3.5, 21, "recsys/", fontsize=10, weight="bold")
    listing(axes, graph, "recsys", 3.5, 19, columns=6, step=17)
    figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    plt.close(figure)


def box(axes: plt.Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    shape = "round,pad=0,rounding_size=0.8"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor=colour, edgecolor="#666666", lw=0.8))


def listing(
    axes: plt.Axes, graph: grimp.ImportGraph, room: str, x: float, y: float, *, columns: int, step: float
) -> None:
    """The children of a room in columns; a folder ends in a slash. `cli` is left out: the commands stand above."""
    children = [c for c in sorted(graph.find_children(room)) if not c.endswith(".cli")]
    names = [c.split(".")[-1] + ("/" if graph.find_children(c) else "") for c in children]
    rows = -(-len(names) // columns)
    for column in range(columns):
        text = "\n".join(names[column * rows : (column + 1) * rows])
        axes.text(x + column * step, y, text, fontsize=7.4, va="top", linespacing=1.7)


def data_contracts(path: Path) -> None:
    """Every table of recsys.schema, field by field."""
    parts = [
        "# Data contracts",
        "",
        "Written by `python docs/generate.py` from `recsys/schema.py`; a test holds the two together.",
        "",
        (schema.__doc__ or "").split("\n\n", 1)[1].strip(),
        "",
        "## Canonical tables: what `segue import` writes",
        "",
        *(line for name, table in schema.TABLES.items() for line in table_lines(name, table)),
        "## Training tables: what `segue features` writes",
        "",
        *(line for name, table in schema.TRAINING_TABLES.items() for line in table_lines(name, table)),
    ]
    path.write_text("\n".join(parts).rstrip() + "\n")


def table_lines(name: str, table: pa.Schema) -> list[str]:
    rows = [f"| `{f.name}` | {f.type} | {'yes' if f.nullable else ''} | {doc(f)} |" for f in table]
    head = ["| column | type | may be null | |", "|---|---|---|---|"]
    return [f"### {name}", "", schema.describe(table), "", *head, *rows, ""]


def doc(field: pa.Field) -> str:
    return (field.metadata or {}).get(b"doc", b"").decode()


def settings(path: Path) -> None:
    """Every table of segue.toml, field by field."""
    parts = [
        "# Settings",
        "",
        "Written by `python docs/generate.py` from the source; a test holds the two together.",
        "",
        "All of them stand in one `segue.toml` (`--config`, else `$SEGUE_CONFIG`, else `./segue.toml`), a table a",
        "component, or in the environment as `SEGUE_<TABLE>_<FIELD>`, which goes first. A table or field that is not",
        "listed here is refused.",
        "",
    ]
    for table, component in sorted(found_settings().items()):
        parts += [f"## [{table}]", "", inspect.cleandoc(component.__doc__ or "").partition("\n\n>>>")[0], ""]
        parts += ["| field | default | |", "|---|---|---|"]
        for name, field in component.model_fields.items():
            default = "required" if field.is_required() else f"`{plain(field.get_default(call_default_factory=True))}`"
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            parts.append(f"| `{name}` | {default} | {meaning} |")
        parts.append("")
    path.write_text("\n".join(parts).rstrip() + "\n")


def found_settings() -> dict[str, type[Settings]]:
    """Every component's, by its table; the tables that recsys.settings names, and no others."""
    for room in ("recsys", *ROOMS):
        for module in grimp.build_graph(room, cache_dir=None).modules:
            if "settings" in module.rpartition(".")[2] or module in WITH_SETTINGS:
                importlib.import_module(module)
    found, classes = {}, [Settings]
    while classes:
        classes += (component := classes.pop()).__subclasses__()
        if component.__dict__.get("table"):
            found[component.table] = component
    if set(found) != set(TABLES):
        raise ValueError(f"recsys.settings.TABLES names {sorted(TABLES)}, the source has {sorted(found)}")
    return found


def plain(value: object) -> str:
    """As TOML has it, nearly."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    if value is None:
        return "not set"
    if isinstance(value, tuple | list | dict | bool):
        return json.dumps(value, default=str)
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    architecture(folder / "architecture.svg")
    data_contracts(folder / "data-contracts.md")
    settings(folder / "settings.md")


if __name__ == "__main__":
    mpl.use("Agg")
    main()
