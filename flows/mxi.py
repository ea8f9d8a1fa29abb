"""The definition of our two fields for somebody who makes them by hand in Maximizer (R40).

The format is known for text, number and date fields only (Maximizer fact sheet section 7): the Yes/No field is told in
words, never guessed.
"""

from __future__ import annotations

from flows.setup import FLAG_PATH, MARKER_PATH

FILE = "mailchimp-id.mxi"
NAMESPACE = "http://www.maximizer.com/maximizer/xmlimportexport/3.0"
LENGTH = 29


def definition() -> str:
    """An MXI file with the definition of the field MailChimp ID."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<AllData xmlns="{NAMESPACE}">
  <DetailDef Name="{MARKER_PATH}" Type="String" Length="{LENGTH}" Companies="No" Individuals="Yes" Contacts="Yes"/>
</AllData>
"""


def steps() -> list[str]:
    """How both fields are made by hand, in order."""
    folder, flag = FLAG_PATH.split("\\")
    marker = MARKER_PATH.rpartition("\\")[2]
    return [
        "In Maximizer, open the set-up of user-defined fields for the Address Book "
        "(you need Insert for user-defined field setup).",
        f"Make the folder {folder}.",
        f"In it, make a Yes/No field {flag}, for Individuals and Contacts, not for Companies.",
        f"In it, make an alphanumeric field {marker} of {LENGTH} characters, for Individuals and Contacts, not for "
        f"Companies; or import the file {FILE}, which defines it.",
        f"Restrict full access to {marker}, so that nobody edits it by chance.",
        "Give the service user full access to both fields, then run set-up again: it finds them by their names.",
    ]
