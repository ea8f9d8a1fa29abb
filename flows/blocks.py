"""Prefect blocks: secrets that it keeps for settings, and the services through which it notifies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from domain.errors import Misconfigured
from domain.quoting import quoted
from flows.deployments import talking


def read_secrets(api: str, names: Iterable[str]) -> dict[str, str]:
    """Values of Secret blocks by name; Misconfigured when there is no such block, or it holds no text."""
    found = {}
    with talking(api) as client:
        for name in names:
            try:
                block = client.read_block_document_by_name(name, "secret", include_secrets=True)
            except ObjectNotFound:
                raise Misconfigured(
                    f"the Prefect server has no Secret block {quoted(name)}", remedy="make it on its page, under Blocks"
                ) from None
            value = block.data.get("value")
            if not isinstance(value, str) or not value:
                raise Misconfigured(f"the Prefect Secret block {quoted(name)} holds no text", remedy="make it anew")
            found[name] = value
    return found


def notifier(url: str) -> Block:
    """The block that sends to an address as the library of Prefect's notifications (apprise) writes it.

    Any other web address gets a POST of ``{"subject": ..., "body": ...}``. Misconfigured for what is neither.
    """
    from apprise import Apprise

    if Apprise.instantiate(url, suppress_exceptions=True) is not None:
        # The block of this name hands whatever is not Slack to the library as it is: e-mail, Teams, ntfy and so on.
        return SlackWebhook(url=SecretStr(url))
    if url.startswith(("https://", "http://")):
        return CustomWebhookNotificationBlock(
            name="maxchimp",
            url="{{address}}",
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
            secrets=SecretDict({"address": url}),
        )
    raise Misconfigured(
        "MAXCHIMP_NOTIFY_URL holds an address that is none",
        remedy="https://... for a webhook, or an address of the library apprise, such as mailtos://user:password@host",
    )


def keep(client: SyncPrefectClient, block: Block, name: str) -> Any:
    """Save a block under a name, in place of an earlier one; the id of its document."""
    return block.save(name, overwrite=True, client=None)
