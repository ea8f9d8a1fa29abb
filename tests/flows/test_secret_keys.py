"""Secrets in Prefect Secret blocks: never under the key that Prefect keeps beside them (hazard S21)."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from domain.errors import Misconfigured
from flows.secret_keys import KEY, own_encryption, require_word, revealed
from flows.services import connect
from flows.settings import load_settings

IN_PREFECT = "MAXCHIMP_NORTH__MAILCHIMP_API_KEY"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAXCHIMP_HOME_DIR", str(tmp_path))
    for name in (KEY, "MAXCHIMP_SECRET_KEY", "MAXCHIMP_NOTIFY_URL", "MAXCHIMP_PREFECT_ENCRYPTED"):
        monkeypatch.delenv(name, raising=False)


def test_without_secrets_for_prefect_there_is_nothing_to_ask() -> None:
    settings = load_settings()
    assert own_encryption(settings) == {}
    require_word(settings)
    assert revealed(settings) is settings


@pytest.mark.parametrize(
    ("name", "value"), [(IN_PREFECT, "prefect-secret:north-key"), ("MAXCHIMP_NOTIFY_URL", "mailtos://a:b@post.test")]
)
def test_s21_the_default_key_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    for refuse in (own_encryption, require_word):
        with pytest.raises(Misconfigured, match=name) as problem:
            refuse(load_settings("north"))
        assert value not in problem.value.message + problem.value.remedy
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", key)
    assert own_encryption(load_settings("north")) == {KEY: key}
    require_word(load_settings("north"))


def test_s21_a_key_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "too-short")
    with pytest.raises(Misconfigured, match=f"{KEY} is no Fernet key") as problem:
        own_encryption(load_settings())
    assert "too-short" not in problem.value.message + problem.value.remedy


def test_s21_prefects_own_key_goes_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv(KEY, one)
    monkeypatch.setenv("MAXCHIMP_SECRET_KEY", other)
    assert own_encryption(load_settings()) == {KEY: one}


def test_a_block_needs_a_server_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IN_PREFECT, "prefect-secret:north-key")
    with pytest.raises(Misconfigured, match="nothing says"):
        connect(load_settings("north"))
    monkeypatch.setenv("MAXCHIMP_PREFECT_ENCRYPTED", "yes")
    with pytest.raises(Misconfigured, match="'north-key' cannot be read") as problem:
        connect(load_settings("north"))
    assert "maxchimp serve" in problem.value.remedy


def test_a_connection_takes_its_own_and_falls_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAXCHIMP_MAXIMIZER_USER=plain\nMAXCHIMP_NORTH__MAXIMIZER_USER=from-file\n")
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_DATABASE", "Shared")
    assert load_settings("north").maximizer_user == "from-file"
    assert load_settings("south").maximizer_user == "plain"
    monkeypatch.setenv("MAXCHIMP_NORTH__MAXIMIZER_USER", "from-environment")
    assert load_settings("north").maximizer_user == "from-environment"
    assert load_settings("north").maximizer_database == "Shared"
