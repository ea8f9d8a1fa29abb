"""``deploy``: the deployments of every connection on a Prefect server elsewhere, for workers on many machines."""

from __future__ import annotations

import os
import re

from sqlalchemy import Engine

from domain.errors import Misconfigured
from flows.launch import at_home, prefect_api
from flows.secret_keys import require_word
from flows.settings import Settings
from storage import connections


def deploy(settings: Settings, engine: Engine, *, pool: str, folder: str = "") -> list[str]:
    """Register what our store says with the server of PREFECT_API_URL; what was done, in words.

    Misconfigured when no server is named, or secrets would go to one that may keep its key beside them (S21).
    """
    if not os.environ.get("PREFECT_API_URL"):
        raise Misconfigured(
            "PREFECT_API_URL is not set: there is no Prefect server to tell",
            remedy="set it to the address of the server, such as http://prefect.example:4200/api; "
            "on one machine use: maxchimp serve",
        )
    if not re.fullmatch(r"[\w][\w .-]{0,99}", pool):
        raise Misconfigured(
            f'"{pool}" cannot be the name of a work pool',
            remedy="use letters, digits, '-', '_' and '.', such as maxchimp",
        )
    require_word(settings)
    at_home(settings.home_dir)
    api = prefect_api(settings.home_dir)
    from flows import automations, deployments

    job = {"working_dir": folder} if folder else {}
    with deployments.talking(api) as client:
        deployments.ensure_pool(client, pool)
        done = deployments.reconcile(client, deployments.wanted(connections.every(engine)), pool=pool, job=job)
        automations.ensure(client, settings)
    return done
