"""A simulated Mailchimp: the Marketing API 3.0 as far as a synchronisation needs it, and its people.

mailchimp = Mailchimp(VirtualClock(1_767_225_600))
list_id = mailchimp.add_list("Newsletter")
contact_id = mailchimp.subscribe(list_id, "ada@lovelace.test", {"FNAME": "Ada"})
with serve(Door(mailchimp, mailchimp.clock)) as server: ...
"""

from sandbox.mailchimp.account import API_KEY, Transition
from sandbox.mailchimp.service import Mailchimp

__all__ = ["API_KEY", "Mailchimp", "Transition"]
