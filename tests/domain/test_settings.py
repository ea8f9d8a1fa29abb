"""Sync settings: as texts and back, and what is refused (R33, R35, R44)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Misconfigured
from domain.settings import CHOICES, SyncSettings, duration, duration_text

SHARES = st.integers(0, 1000).map(lambda tenths: tenths / 1000)
SETTINGS = st.builds(
    SyncSettings,
    interval=st.integers(60, 10**6).map(float),
    buffer_ms=st.integers(0, 60_000),
    conflict=st.sampled_from(CHOICES["conflict"]),
    email_change=st.sampled_from(CHOICES["email_change"]),
    new_member_status=st.sampled_from(CHOICES["new_member_status"]),
    ambiguous_wait=st.integers(0, 10**5).map(float),
    max_absent=SHARES,
    max_changed=SHARES,
    max_new=SHARES,
    max_blanked=SHARES,
    max_refused=SHARES,
)


@given(SETTINGS)
def test_r44_what_is_shown_can_be_typed_in(settings: SyncSettings) -> None:
    again = SyncSettings().with_text(settings.shown())
    assert again.shown() == settings.shown()
    assert again.to_json() == pytest.approx(settings.to_json())
    assert SyncSettings.from_json(settings.to_json()) == settings


@given(st.floats(0, 10**7, allow_nan=False).map(lambda seconds: round(seconds, 1)))
def test_r33_durations_there_and_back(seconds: float) -> None:
    assert duration("interval", duration_text(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"), [("300s", 300), ("60m", 3600), ("1h", 3600), ("1.5h", 5400), ("2 d", 172_800), ("500ms", 0.5)]
)
def test_r33_durations(text: str, seconds: float) -> None:
    assert duration("interval", text) == seconds


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("interval", "an hour"),
        ("interval", "60"),
        ("interval", "59s"),
        ("interval", "-1h"),
        ("buffer_ms", "0.3s"),
        ("buffer_ms", "-1"),
        ("buffer_ms", "3600001"),
        ("conflict", "newest"),
        ("email_change", ""),
        ("new_member_status", "unsubscribed"),
        ("max_new", "0.1"),
        ("max_new", "101%"),
        ("max_new", "-1%"),
        ("max_everything", "1%"),
        ("nonsense", "1"),
    ],
)
def test_r44_what_is_refused(name: str, text: str) -> None:
    with pytest.raises(Misconfigured):
        SyncSettings().with_text({name: text})


def test_r44_defaults() -> None:
    assert SyncSettings().shown() == {
        "interval": "1h", "buffer_ms": "300", "conflict": "maximizer", "email_change": "new-entry",
        "new_member_status": "subscribed", "ambiguous_wait": "5m", "retention": "30d",
        "max_absent": "5%", "max_changed": "50%", "max_new": "10%", "max_blanked": "5%",
        "max_refused": "5%", "remind_after": "3",
    }  # fmt: skip


def test_settings_of_an_older_or_newer_version_are_read() -> None:
    assert SyncSettings.from_json({"conflict": "mailchimp", "gone": 1}) == SyncSettings(conflict="mailchimp")
