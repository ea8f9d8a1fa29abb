"""Settings from the environment or ``.env`` (prefix ``MAXCHIMP_``), secrets as ``SecretStr``.

A connection's own settings are ``MAXCHIMP_<NAME>__MAILCHIMP_API_KEY`` and so on, falling back to the plain ones.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain import facts
from domain.commands import prefix
from domain.errors import Misconfigured
from domain.quoting import quoted

_OWN = ("MAILCHIMP_API_KEY", "MAILCHIMP_URL", "MAXIMIZER_URL", "MAXIMIZER_WEB_URL", "MAXIMIZER_DATABASE",
        "MAXIMIZER_USER", "MAXIMIZER_PASSWORD", "MAXIMIZER_TOKEN", "ADMINISTRATORS", "TAB_KEY_PARAMETER",
        "TAB_TOKEN_PARAMETER")  # fmt: skip
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # of a connection: it stands in variables and in addresses


class Settings(BaseSettings):
    """Everything that comes from outside; see the contract for meanings."""

    model_config = SettingsConfigDict(
        env_prefix="MAXCHIMP_", env_file=".env", extra="ignore", hide_input_in_errors=True
    )

    connection: str = "default"
    database_url: SecretStr = SecretStr("sqlite:///data/local/maxchimp.db")
    mailchimp_api_key: SecretStr = SecretStr("")
    mailchimp_url: str = ""
    maximizer_url: str = ""
    maximizer_web_url: str = ""
    maximizer_database: str = ""
    maximizer_user: str = ""
    maximizer_password: SecretStr = SecretStr("")
    maximizer_token: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    notify_url: SecretStr = SecretStr("")
    page_url: str = ""
    administrators: str = ""
    tab_key_parameter: str = "CurrentKey"
    tab_token_parameter: str = "IdentityToken"  # noqa: S105 (a name)
    home_dir: Path = Path("data/local")
    log_format: Literal["text", "json"] = "text"

    def secrets(self) -> list[str]:
        """Values that may appear nowhere."""
        held = (self.mailchimp_api_key, self.maximizer_password, self.maximizer_token)
        keys = self.secret_key.get_secret_value().split(",")
        told = self.notify_url.get_secret_value().split()
        texts = (*(secret.get_secret_value() for secret in held), *map(str.strip, keys), *told)
        return [text for text in texts if text]


def load_settings(connection: str | None = None) -> Settings:
    """Settings of one connection: of the environment, and where that is silent what the set-up page has kept.

    Misconfigured when its name cannot be one.
    """
    from flows.kept import filled

    return filled(from_environment(connection))


def from_environment(connection: str | None = None) -> Settings:
    """What the environment and ``.env`` say, and nothing else."""
    plain = Settings()
    facts.usual(plain.connection)
    name = connection or plain.connection
    if not NAME.fullmatch(name):
        raise Misconfigured(
            f"{quoted(name)} cannot be the name of a connection",
            remedy="use letters, digits, '-' and '_', such as north_america",
        )
    own = _own(name)
    return Settings.model_validate({**plain.model_dump(), **own, "connection": name})


def variable(connection: str, setting: str) -> str:
    """The variable that decides a setting: the connection's own where it is set, else the plain one."""
    own = prefix(connection) + setting.upper()
    return own if from_outside().get(own) else f"MAXCHIMP_{setting.upper()}"


def _own(connection: str) -> dict[str, str]:
    """A connection's own settings by field, the first source that has one: here another source joins."""
    found: dict[str, str] = {}
    for source in (_variables,):
        found = source(connection) | found
    return found


def _variables(connection: str) -> dict[str, str]:
    """Those of the environment, else of ``.env``."""
    outside, start = from_outside(), prefix(connection)
    return {key.lower(): outside[start + key] for key in _OWN if outside.get(start + key)}


def from_outside() -> dict[str, str]:
    """Our variables that are set: of the environment, else of ``.env``."""
    from dotenv import dotenv_values

    both = {**dotenv_values(".env"), **{name: value for name, value in os.environ.items() if value}}
    return {name: value for name, value in both.items() if value and name.upper().startswith("MAXCHIMP_")}
