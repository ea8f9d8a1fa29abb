"""Settings from the environment or ``.env`` (prefix ``MAXCHIMP_``), secrets as ``SecretStr``.

A connection's own settings are ``MAXCHIMP_<NAME>__MAILCHIMP_API_KEY`` and so on, falling back to the plain ones.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain import facts
from domain.commands import prefix
from domain.errors import Misconfigured
from domain.quoting import quoted
from flows import outside

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # of a connection: it stands in variables and in addresses
_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}", re.IGNORECASE)
MAKE_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
# Without a value of their own these have a default, which an empty variable would hide.
_FILLED = ("CONNECTION", "DATABASE_URL", "HOME_DIR", "LOG_FORMAT", "TAB_KEY_PARAMETER", "TAB_TOKEN_PARAMETER")
_REMEDIES = {
    "secret_key": f"make one with: {MAKE_KEY}",
    "page_url": "give the address that browsers reach the page under, such as https://sync.example.org",
    "maximizer_web_url": "give the address people log in with, such as https://server/MaximizerWebAccess",
    "log_format": "write text or json",
    "notify_url": "write addresses with their scheme and a space between two, such as https://hooks.example.com/maxchimp",
}


class Settings(BaseSettings):
    """Everything that comes from outside; see the contract for meanings."""

    model_config = SettingsConfigDict(
        env_prefix=outside.PREFIX,
        env_file=outside.FILE,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
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

    @field_validator(
        "mailchimp_api_key", "mailchimp_url", "maximizer_url", "maximizer_database", "maximizer_user",
        "maximizer_token", mode="before",
    )  # fmt: skip
    @classmethod
    def _without_blanks(cls, value: object) -> object:
        """Copied with a blank or a line end around it; a password may begin and end with any."""
        return value.strip() if isinstance(value, str) else value

    @field_validator("secret_key")
    @classmethod
    def _keys(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        for key in text.split(",") if text else ():
            try:
                Fernet(key.strip())
            except ValueError:
                raise ValueError("is not a Fernet key (44 characters, commas between several)") from None
        return value

    @field_validator("page_url", "maximizer_web_url")
    @classmethod
    def _address(cls, value: str) -> str:
        return web_address(value)

    @field_validator("tab_key_parameter", "tab_token_parameter")
    @classmethod
    def _parameter(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", value):
            raise ValueError("is not the name of a parameter: letters, digits, '_', '.' and '-'")
        return value

    @field_validator("notify_url")
    @classmethod
    def _addresses(cls, value: SecretStr) -> SecretStr:
        if any(not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", text) for text in value.get_secret_value().split()):
            raise ValueError("holds a word that is not an address")
        return value

    def secrets(self) -> list[str]:
        """Values that may appear nowhere."""
        held = (self.mailchimp_api_key, self.maximizer_password, self.maximizer_token)
        keys = self.secret_key.get_secret_value().split(",")
        told = self.notify_url.get_secret_value().split()
        store = _password(self.database_url.get_secret_value())
        texts = (*(secret.get_secret_value() for secret in held), *map(str.strip, keys), *told, store, unquote(store))
        return [text for text in texts if text]


def load_settings(connection: str | None = None) -> Settings:
    """Settings of one connection: of the environment, and where that is silent what the set-up page has kept.

    Misconfigured when its name cannot be one.
    """
    from flows.kept import filled

    return filled(from_environment(connection))


def from_environment(connection: str | None = None) -> Settings:
    """What the environment and ``.env`` say, and nothing else."""
    outside.check_filled(f"{outside.PREFIX}{name}" for name in _FILLED)
    plain = outside.variables().get(f"{outside.PREFIX}CONNECTION", "default")
    facts.usual(plain)
    name = plain if connection is None else connection
    if not NAME.fullmatch(name):
        raise Misconfigured(
            f"{quoted(name)} cannot be the name of a connection",
            remedy="use letters, digits, '-' and '_', such as north_america",
        )
    own: dict[str, Any] = outside.own(name)
    return _made(lambda: Settings(**own, connection=name), {key: prefix(name) for key in own})


def variable(connection: str, setting: str) -> str:
    """The variable that decides a setting: the connection's own where it is set, else the plain one."""
    own = prefix(connection) + setting.upper()
    return own if outside.variables().get(own) else f"MAXCHIMP_{setting.upper()}"


def unknown_names() -> list[outside.Unknown]:
    """Variables that look like ours and are read by nobody."""
    return outside.unknown(Settings.model_fields)


def _made(make: Callable[[], Settings], starts: Mapping[str, str]) -> Settings:
    """The settings; Misconfigured names every variable that cannot be used, and where it is set, without its value.

    ``starts``: what the variable's name begins with, by field, where that is not the plain prefix.
    """
    try:
        return make()
    except ValidationError as problem:
        wrong = {str(error["loc"][0]): error for error in problem.errors(include_url=False) if error["loc"]}
        told = [
            f"{outside.named(starts.get(field, outside.PREFIX) + field.upper())} {_said(error)}"
            for field, error in wrong.items()
        ]
        remedy = next((_REMEDIES[field] for field in wrong if field in _REMEDIES), "correct it, or take it out")
        raise Misconfigured("; ".join(told), remedy=remedy) from None


def _said(error: Mapping[str, Any]) -> str:
    reason = error.get("ctx", {}).get("error")
    return str(reason) if isinstance(reason, ValueError) else "is not one of the accepted values"


def web_address(text: str) -> str:
    """An address that people's browsers are sent to; ValueError says why it cannot be one."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is not a web address") from None
    if not text:
        return ""
    if parts.scheme not in ("https", "http") or not _HOST.fullmatch(host):
        raise ValueError("is not a web address")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must hold no user name, query or fragment")
    if parts.scheme == "http" and not is_local(host):
        raise ValueError("begins with http://, which is accepted for this machine only: use https://")
    return text


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


def is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost" or host.casefold().endswith(".localhost")
