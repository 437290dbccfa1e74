"""The committed code is what the protos give."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_generated_code_is_up_to_date(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "protos" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    generator.generate(tmp_path)
    made = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*_pb2*.py*")}
    committed = {
        str(path.relative_to(ROOT / "protos")): path.read_bytes()
        for path in (ROOT / "protos").rglob("*_pb2*")
        if path.suffix in (".py", ".pyi")
    }
    assert len(made) == 16
    assert sorted(made) == sorted(committed)
    stale = [name for name in made if made[name] != committed[name]]
    assert not stale, f"{stale}: run python protos/generate.py"
