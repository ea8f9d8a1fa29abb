"""Maximizer's Address Book API (Web.Data, "Octopus"), on-premise and cloud behind one class."""

from clients.maximizer.client import Maximizer
from clients.maximizer.dialect import CLOUD, ON_PREMISE, Dialect, base_of
from clients.maximizer.queries import any_of, by_email, by_id, by_key, by_udf, flagged_without_marker
from clients.maximizer.rows import id_of, key_of

__all__ = [
    "CLOUD",
    "ON_PREMISE",
    "Dialect",
    "Maximizer",
    "any_of",
    "base_of",
    "by_email",
    "by_id",
    "by_key",
    "by_udf",
    "flagged_without_marker",
    "id_of",
    "key_of",
]
