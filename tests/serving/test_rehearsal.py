"""What a bundle has to show before it meets listeners."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.errors import InputError
from serving.models.model import Model
from serving.models.rehearsal import rehearse

WriteBundle = Callable[..., Path]


@pytest.fixture
def bundle(tmp_path: Path, write_small_bundle: WriteBundle) -> Path:
    return write_small_bundle(tmp_path / "small")


def golden(bundle: Path, **changes: object) -> None:
    """Tracks 2 and 4 stand in playlists with even ones."""
    request = {"surface": "playlist", "history": ["t2", "t4"], "tracks": ["t0", "t6", "t8", "t10", "t12"], **changes}
    (bundle / "golden.json").write_text(json.dumps({"requests": [request]}))


def test_a_sound_bundle_passes(bundle: Path) -> None:
    rehearse(Model.load(bundle), batch=8)
    model = Model.load(bundle)
    golden(bundle, tracks=[f"t{i}" for i in range(0, 40, 2) if i not in (2, 4)])
    rehearse(model, batch=8)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tracks": ["t1", "t3", "t5", "t7", "t9"]}, r"requests\.0: 0% of its tracks are in the answer, 80% must be"),
        ({"history": ["t2", "gone"]}, r"requests\.0\.history: gone is not in the catalogue"),
        ({"surface": "radio"}, r"requests\.0\.surface: .* no surface 'radio'"),
        ({"tracks": []}, r"requests\.0\.tracks"),
        ({"trakcs": []}, r"requests\.0\.trakcs"),
    ],
)
def test_golden_requests_must_be_met(bundle: Path, changes: dict[str, object], says: str) -> None:
    golden(bundle, **changes)
    with pytest.raises(InputError, match=rf"golden\.json: {says}"):
        rehearse(Model.load(bundle), batch=2)


def test_a_part_that_fails_is_found(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model.load(bundle)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(type(model.sources["playlist"]["main"]), "candidates", broken)
        with pytest.raises(InputError, match=r"small: surface '\w+' has a part that fails: (main|popularity)"):
            rehearse(model, batch=2)
    with monkeypatch.context() as patch:
        patch.setattr(type(model.pipeline("home")), "run", broken)
        with pytest.raises(InputError, match="surface 'home' fails: secret"):
            rehearse(model, batch=2)


def test_a_bundle_that_answers_nothing_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model.load(bundle)
    monkeypatch.setattr(type(model.pipeline("home")), "run", lambda self, works: None)
    with pytest.raises(InputError, match="answers nothing at all"):
        rehearse(model, batch=2)
