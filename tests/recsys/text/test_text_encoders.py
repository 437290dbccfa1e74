"""Every text encoder keeps the contract; a new one joins by its row in ENCODERS."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from recsys import text
from recsys.errors import InputError

pytest.importorskip("wordllama")


@pytest.fixture(params=sorted(text.ENCODERS))
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> text.TextEncoder:
    """Loaded while every socket is refused: weights come from disk."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("an encoder must not reach for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return text.load(request.param)


def test_vectors_have_length_one_and_blank_text_is_zero(encoder: text.TextEncoder) -> None:
    vectors = encoder.encode(["Paranoid Android Radiohead rock", "", "日本の歌", "x"])
    assert vectors.shape == (4, encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 1], atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_a_vector_does_not_depend_on_its_batch(encoder: text.TextEncoder) -> None:
    texts = [f"song number {i} " + "long " * (i % 7) for i in range(200)]
    alone = np.concatenate([encoder.encode([t]) for t in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-6)


def test_likeness_of_meaning(encoder: text.TextEncoder) -> None:
    query, near, far = encoder.encode(["sad slow piano ballad", "melancholic piano", "aggressive thrash metal"])
    assert query @ near > query @ far


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(InputError, match="wordllama-256"):
        text.load("word2vec")
