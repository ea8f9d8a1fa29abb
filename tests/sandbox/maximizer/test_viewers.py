"""Other users of the Address Book: their own sign-in, sessions and rights; the page that holds a following tab."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

WHO = {"User": {"Key": {"Uid": 1}}, "AddressBook": {"Database": 1}}
NAMES = {"LastName": 1}


def signed_in(caller: Any, user: str, password: str) -> Any:
    return caller.raw("Authenticate", {"Database": "EsconaDemo", "UID": user, "Password": password})


def test_a_viewer_has_a_session_of_their_own(make: Any) -> None:
    caller = make()
    caller.maximizer.add_viewer("ANNA", "hers")
    token = signed_in(caller, "anna", "hers")["Data"]["Token"]
    told = caller.raw("GetSessionInfo", WHO, token)["Data"]
    assert told == {"User": {"Key": {"Uid": "ANNA"}}, "AddressBook": {"Database": "EsconaDemo"}}
    assert caller.raw("TokenValid", {}, token)["Code"] == 0
    assert caller.raw("GetSessionInfo", WHO, caller.token)["Data"]["User"]["Key"]["Uid"] == "MCSYNC"
    assert signed_in(caller, "ANNA", "wrong")["Code"] == -1
    assert signed_in(caller, "NOBODY", "hers")["Code"] == -1
    caller.maximizer.clock.advance(601)
    assert caller.raw("TokenValid", {}, token)["Code"] == -1


@pytest.mark.parametrize("quirks", [set(), {"keys-stable"}])
def test_each_user_reads_what_they_may(make: Any, quirks: set[str]) -> None:
    caller = make(quirks=quirks)
    crm = caller.maximizer
    open_, hers, ours = (crm.add_person("Ann", name) for name in ("Open", "Hers", "Ours"))
    crm.add_viewer("ANNA", "hers")
    crm.add_viewer("BEN", "his")
    crm.hide_from("ANNA", [ours])
    crm.hide_from("BEN", [hers, ours])
    crm.hide([hers])
    everybody = {"LastName": {"$LIKE": "%"}}

    def seen(token: str) -> set[str]:
        caller.token = token
        return {row["LastName"] for row in caller.read(everybody, NAMES)}

    service = caller.token
    assert seen(crm.log_in("ANNA")) == {"Open", "Hers"}
    assert seen(crm.log_in("BEN")) == {"Open"}
    assert seen(service) == {"Open", "Ours"}
    caller.token = crm.log_in("BEN")
    for key, expected in ((open_, 1), (hers, 0), (ours, 0)):
        assert len(caller.read({"Key": {"$EQ": {"ID": key[0], "Number": key[1]}}}, NAMES)) == expected
    crm.remove(hers)
    assert crm.database.book.hidden_from["BEN"] == {crm.database.book.get(ours).seq}


def test_web_access_holds_the_tab_in_a_frame(make: Any) -> None:
    caller = make()
    key = caller.maximizer.add_person("Ann", "Open")
    caller.maximizer.add_viewer("ANNA", "hers")
    page = caller.session.get(caller.root + caller.maximizer.show_tab("ANNA", key, "http://tab.test/tab")).text
    source = page.partition('src="')[2].partition('"')[0].replace("&amp;", "&")
    given = parse_qs(urlsplit(source).query)
    assert source.startswith("http://tab.test/tab?")
    (token,), (entry,) = given["IdentityToken"], given["CurrentKey"]
    caller.token = token
    assert caller.read({"Key": {"$EQ": entry}}, NAMES) == [{"LastName": "Open"}]
    with pytest.raises(KeyError):
        caller.maximizer.show_tab("NOBODY", key, "http://tab.test/tab")
    with pytest.raises(KeyError):
        caller.maximizer.show_tab("ANNA", ("x", 0), "http://tab.test/tab")
    plain = caller.session.get(f"{caller.root}{caller.maximizer.web_path}?tab=99").text
    assert "iframe" not in plain
