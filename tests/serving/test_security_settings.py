"""What the operator writes: settings and the clients file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import InputError
from serving.inspection.pseudonyms import Pseudonyms
from serving.security import tls
from serving.security.authentication import ANYBODY, Authentication
from serving.security.clients import Clients, UnauthenticatedError
from serving.security.settings import SecuritySettings

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]", "::1"])
def test_on_loopback_nobody_is_asked(host: str) -> None:
    SecuritySettings.load().check_exposure(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.1", "segue.internal"])
def test_beyond_loopback_callers_are_asked_or_it_is_said(host: str) -> None:
    with pytest.raises(InputError, match=r"reachable from other machines.*insecure = true"):
        SecuritySettings.load().check_exposure(host)
    SecuritySettings.load(insecure=True).check_exposure(host)
    SecuritySettings.load(clients="clients.toml").check_exposure(host)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"certificate": "a.pem"}, r"security\.certificate: goes together"),
        ({"client_ca": "ca.pem"}, r"security\.client_ca: needs"),
        ({"jwt_keys": "jwks.json", "jwt_issuer": "login"}, r"security\.jwt_audience"),
        ({"jwt_algorithms": ["none"]}, r"security\.jwt_algorithms"),
    ],
)
def test_half_a_setting_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        SecuritySettings.load(**given)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[web", "not valid TOML"),
        ('[web]\nkeys = ["secret"]', r"web\.keys\.0"),
        ('[web]\nscopes = ["everything"]', r"web\.scopes\.0"),
        ("[web]\nper_secnd = 3", r"web\.per_secnd"),
        (f'[web]\nkeys = ["{A}"]\n[app]\nkeys = ["{B}", "{A}"]', "app and web share a key"),
    ],
)
def test_a_bad_clients_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "clients.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=rf"clients\.toml: .*{says}"):
        Authentication(SecuritySettings.load(clients=file))


def test_quotas_of_the_file_and_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    file.write_text(
        f'[web]\nkeys = ["{A}"]\n[app]\nper_second = 900\n[guest]\nper_second = 1\nburst = 2\n[free]\nper_second = 0'
    )
    found = Clients.read(file, per_second=10.0, burst=20).by_name
    assert {name: (caller.per_second, caller.burst) for name, caller in found.items()} == {
        "web": (10.0, 20),
        "app": (900.0, 900),  # a second's worth at least
        "guest": (1.0, 2),
        "free": (0.0, 20),
    }


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.toml is no file"):
        Authentication(SecuritySettings.load(clients=tmp_path / "gone.toml"))


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    file.write_text("hello")
    with pytest.raises(InputError, match="no pair of certificate and key"):
        tls.credentials(SecuritySettings.load(certificate=file, private_key=file))
    assert tls.credentials(SecuritySettings.load()) is None


def test_without_settings_anybody_may_ask() -> None:
    assert Authentication(SecuritySettings.load()).caller([("authorization", "Bearer x")], dict) is ANYBODY


def test_what_is_shown_in_another_form_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    file.write_text(f'[web]\nkeys = ["{hashlib.sha256(b"k").hexdigest()}"]')
    guard = Authentication(SecuritySettings.load(clients=file))
    assert guard.caller([("authorization", "bearer k")], dict).name == "web"
    for metadata in ([("authorization", "Basic k")], [("authorization-bin", b"Bearer k")], [("cookie", "k")]):
        with pytest.raises(UnauthenticatedError):
            guard.caller(metadata, dict)  # type: ignore[arg-type]


def test_pseudonyms_of_one_salt_agree_and_of_none_do_not() -> None:
    assert Pseudonyms("s" * 100).of("anna") == Pseudonyms("s" * 100).of("anna") != Pseudonyms("s" * 99).of("anna")
    assert Pseudonyms().of("anna") != Pseudonyms().of("anna")
    assert Pseudonyms().of("") == ""
    assert len({Pseudonyms("s").of(f"user {i}") for i in range(1000)}) == 1000
