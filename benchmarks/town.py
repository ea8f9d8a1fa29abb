"""A town of N people known on both sides, served over HTTP by a process of its own.

    python -m benchmarks.town N          (started by benchmarks.calls; ends when its input closes)

Everybody carries the other side's identity already, as an earlier connector would have left them, so that the first
cycle only links. Commands on standard input, one JSON list a line: ["edit", k], ["subscribe", k], ["flag", k].
"""

from __future__ import annotations

import json
import sys

from sandbox.clock import VirtualClock
from sandbox.mailchimp import Mailchimp
from sandbox.maximizer import Maximizer
from sandbox.web import Door, serve

FLAG, MARKER, TEAM = r"MailChimp\Sync with MailChimp", r"MailChimp\MailChimp ID", r"Marketing\Team"


def main() -> None:
    size = int(sys.argv[1])
    clock = VirtualClock(1_800_000_000.0)
    mailchimp, maximizer = Mailchimp(clock), Maximizer(clock)
    list_id = mailchimp.add_list("Town")
    for tag in ("CLIENTID", "CONTACTNO", "TEAM"):
        mailchimp.add_merge_field(list_id, tag, tag, "text")
    mailchimp.add_group(list_id, "News", ["Weekly"])
    maximizer.add_udf(FLAG, "yesno")
    maximizer.add_udf(MARKER, "text", max_length=29)
    maximizer.add_udf(TEAM, "text")
    made = []
    for n in range(size):
        # Two hundred people a minute: no second holds more than a page.
        clock.advance(0.3)
        email, first, last = f"p{n}@town.test", f"First{n}", f"Last{n}"
        merge = {"FNAME": first, "LNAME": last, "TEAM": f"team {n % 97}"}
        contact = mailchimp.subscribe(list_id, email, merge_fields=merge)
        marker = mailchimp.member(contact)["unique_email_id"]
        key = maximizer.add_person(first, last, email, udfs={FLAG: "Yes", MARKER: marker, TEAM: f"team {n % 97}"})
        mailchimp.edit(contact, merge_fields={"CLIENTID": key[0], "CONTACTNO": str(key[1])})
        made.append((contact, key))
    doors = [Door(service, clock, keep_bodies=False) for service in (mailchimp, maximizer)]
    servers = [serve(door) for door in doors]
    print(
        json.dumps(
            {
                "mailchimp": servers[0].url,
                "maximizer": servers[1].url + maximizer.base_path,
                "key": mailchimp.api_key,
                "database": maximizer.database.name,
                "user": maximizer.user,
                "password": maximizer.password,
            }
        ),
        flush=True,
    )
    turn = 0
    for line in sys.stdin:
        what, number = json.loads(line)
        clock.advance(60)
        for contact, key in made[turn : turn + number] if what == "edit" else ():
            mailchimp.edit(contact, merge_fields={"TEAM": f"moved {turn}"})
            maximizer.edit(key, {"FirstName": f"New{turn}"})
            turn += 1
        for n in range(number if what in ("subscribe", "flag") else 0):
            if what == "subscribe":
                mailchimp.subscribe(
                    list_id, f"new{turn}-{n}@town.test", merge_fields={"FNAME": "New", "LNAME": "Member"}
                )
            else:
                maximizer.add_person("New", "Entry", f"entry{turn}-{n}@town.test", udfs={FLAG: "Yes"})
        turn += number if what != "edit" else 0
        clock.advance(60)
        print(json.dumps([len(door.calls) for door in doors]), flush=True)
    for server in servers:
        server.close()


if __name__ == "__main__":
    main()
