"""Tokens: what a forger tries, each with the reason it fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from recsys.errors import InputError
from serving.security.authentication import Authentication
from serving.security.clients import Caller, UnauthenticatedError
from serving.security.settings import SecuritySettings
from serving.security.tokens import TokenKeys

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = ed25519.Ed25519PrivateKey.generate()


def public(key: Any, algorithm: type[Any], **fields: str) -> dict[str, str]:
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **fields}


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    keys = [
        public(RSA, jwt.algorithms.RSAAlgorithm, kid="one", alg="RS256"),
        public(ED, jwt.algorithms.OKPAlgorithm, kid="two"),
    ]
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    return file


class Clock:
    """Starts at the real time, which PyJWT goes by."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def authentication(jwks: Path, clock: Clock | None = None, **given: Any) -> Authentication:
    settings = SecuritySettings.load(jwt_keys=jwks, jwt_audience="segue", jwt_issuer="login", **given)
    return Authentication(settings, clock or Clock())


def token(key: Any = RSA, kid: str | None = "one", algorithm: str = "RS256", **claims: Any) -> str:
    body = {"sub": "web", "aud": "segue", "iss": "login", "exp": time.time() + 60, "scope": "recommend openid"}
    body = {name: value for name, value in {**body, **claims}.items() if value is not None}
    return jwt.encode(body, key, algorithm, headers={"kid": kid} if kid else None)


def shown(guard: Authentication, word: str) -> Caller:
    return guard.caller([("authorization", f"Bearer {word}")], dict)


def test_sound_tokens(jwks: Path) -> None:
    guard = authentication(jwks, per_second=7.0, burst=9)
    assert shown(guard, token()) == Caller("web", frozenset(("recommend",)), 7.0, 9)
    assert shown(guard, token(ED, "two", "EdDSA", sub="app", scope="admin feedback")).scopes == {"admin", "feedback"}
    assert shown(guard, token(aud=["other", "segue"])).name == "web"


def hmac_by_the_public_key() -> str:
    """The classic confusion: the public key, which everyone has, taken for an HMAC secret."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "one"}).encode())
    body = jwt.utils.base64url_encode(
        json.dumps({"sub": "web", "aud": "segue", "iss": "login", "exp": time.time() + 60}).encode()
    )
    signature = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, pem)
    return b".".join((head, body, jwt.utils.base64url_encode(signature))).decode()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (lambda: token(exp=time.time() - 60), "expired"),
        (lambda: token(exp=None), "exp"),
        (lambda: token(sub=None), "sub"),
        (lambda: token(aud="another"), "[Aa]udience"),
        (lambda: token(aud=None), "aud"),
        (lambda: token(iss="evil"), "[Ii]ssuer"),
        (lambda: token(iss=None), "iss"),
        (lambda: token(nbf=time.time() + 600), "not yet valid"),
        (lambda: token(OTHER), "[Ss]ignature"),
        (lambda: token(kid="three"), "does not know"),
        (lambda: token(kid=None), "does not know"),
        (lambda: token(kid="two"), "alg"),
        (lambda: token(None, algorithm="none"), "alg"),
        (hmac_by_the_public_key, "alg"),
        (lambda: token() + "x", ""),
        (lambda: "a.b.c", ""),
        (lambda: "..", ""),
    ],
)
def test_what_a_forger_tries(jwks: Path, word: Any, says: str) -> None:
    with pytest.raises(UnauthenticatedError, match=f"the token is not valid: .*{says}"):
        shown(authentication(jwks), word())


def test_a_verified_token_ends_with_its_time(jwks: Path) -> None:
    """It is remembered, but not past `exp`."""
    clock = Clock()
    guard = authentication(jwks, clock, jwt_leeway_s=0)
    word = token(exp=time.time() + 1)
    assert shown(guard, word).name == "web"
    time.sleep(1.1)
    assert shown(guard, word).name == "web"  # by the clock given, which stands still, it is remembered
    clock.now += 1.1
    with pytest.raises(UnauthenticatedError, match="expired"):
        shown(guard, word)


def test_a_key_that_is_taken_out_counts_no_more(jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.security.reloaded.LOOK_EVERY_S", 0.0)
    guard, word = authentication(jwks), token()
    assert shown(guard, word).name == "web"
    keys = json.loads(jwks.read_text())["keys"]
    jwks.write_text(json.dumps({"keys": keys[1:]}))
    with pytest.raises(UnauthenticatedError):
        shown(guard, word)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("{", "no JWKS"),
        ('{"keys": [{"kty": "RSA"}]}', "no JWKS"),
        ('{"keys": []}', "needs a key"),
        ('{"keys": [{"kty": "oct", "alg": "HS256", "k": "c2hvcnQ"}]}', "is for HS256; .* takes RS256"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, keys: str, says: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(keys)
    with pytest.raises(InputError, match=rf"jwks\.json: .*{says}"):
        authentication(file)


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text('{"keys": [{"kty": "oct", "alg": "HS256", "k": "c2hvcnQ"}]}')
    with pytest.raises(InputError, match="shorter than 32 bytes"):
        TokenKeys.read(file, ["HS256"])


def test_keys_without_names_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    key = public(RSA, jwt.algorithms.RSAAlgorithm, alg="RS256")
    file.write_text(json.dumps({"keys": [key, key]}))
    with pytest.raises(InputError, match="a kid of its own"):
        TokenKeys.read(file, ["RS256"])
