"""What Prefect does by itself: it tells people when a connection's state changes, and ends runs without a process.

The cycle emits one event per change of state (``flows.health``); the automation turns it into a notification. Prefect's
own events of a run could not say that much: their triggers count within a window of time, so "failed" would be told
once per cycle, or once per window, "recovered" has to know what was told before, and those of scheduled runs come late.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture

from flows.blocks import keep, notifier
from flows.deployments import TAG
from flows.health import ENDED, EVENTS, PREFIX
from flows.settings import Settings

TELL = "maxchimp: tell people"
LOST = "maxchimp: end runs whose process is gone"
SILENCE = timedelta(seconds=100)  # three heartbeats of a run
_ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Skipped", "Crashed")}


def ensure(client: SyncPrefectClient, settings: Settings) -> None:
    """Both automations are there as the settings say; Misconfigured for an address that is none."""
    _put(client, LOST, _lost())
    urls = settings.notify_url.get_secret_value().replace(",", " ").split()
    blocks = [keep(client, notifier(url), f"maxchimp-{number}") for number, url in enumerate(urls, 1)]
    _put(client, TELL, _tell(blocks) if blocks else None)


def _put(client: SyncPrefectClient, name: str, wanted: AutomationCore | None) -> None:
    """Make or change the automation of that name; one that a person switched off stays off.

    One that is as wanted is left alone: a change makes Prefect forget what its trigger has seen so far.
    """
    found = client.read_automations_by_name(name)
    if wanted is None:
        for old in found:
            client.delete_automation(old.id)
    elif found and _same(found[0], wanted):
        return
    elif found:
        client.update_automation(found[0].id, wanted.model_copy(update={"enabled": found[0].enabled}))
    else:
        client.create_automation(wanted)


def _same(found: AutomationCore, wanted: AutomationCore) -> bool:
    parts = {"trigger", "actions", "description"}
    return found.model_dump(include=parts) == wanted.model_dump(include=parts)


def _tell(blocks: list[Any]) -> AutomationCore:
    return AutomationCore(
        name=TELL,
        description="First failure, still failing, recovered, waiting: once per change, never once per cycle.",
        trigger=EventTrigger(
            expect=set(EVENTS),
            match={"prefect.resource.id": f"{PREFIX}.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject="{{ event.payload.subject }}", body="{{ event.payload.body }}"
            )
            for block in blocks
        ],
    )


def _lost() -> AutomationCore:
    """A run that falls silent without an end has lost its process: it is Crashed, and its slot free again."""
    return AutomationCore(
        name=LOST,
        description="A run's heartbeats stopped: it is marked as crashed, so that its deployment can run again.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", ENDED} | _ENDED,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="its process is gone; the next cycle goes on")],
    )
