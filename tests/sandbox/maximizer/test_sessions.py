"""Sign-in, tokens, addresses, limits; the first part over real HTTP in both profiles."""

import base64
from typing import Any

from sandbox.faults import Faults

FLAG = r"MailChimp\Sync with MailChimp"
MARKER = r"MailChimp\MailChimp ID"


def text_of(answer: dict[str, Any]) -> str:
    """The first message, whatever its shape."""
    message = answer["Msg"][0]
    return str(message if isinstance(message, str) else message["Message"])


def test_create_read_update_over_http(served: Any) -> None:
    marker = served.maximizer.add_udf(MARKER, "text", max_length=29)
    flag = served.maximizer.add_udf(FLAG, "yesno")
    data = {
        "Type": "Individual",
        "FirstName": "Zoë",
        "LastName": "Lindenqvist",
        "Email1": {"Default": True, "Address": "Zoe@ivywire.test"},
        "Address": {"City": "Montréal", "ZipCode": "H2Y 1C6"},
        f"Udf/$TYPEID({marker})": "1a2b3c4d5e",
        f"Udf/$TYPEID({flag})": ["2"],
    }
    created = served.create(data)
    assert created["Code"] == 0
    key = created["AbEntry"]["Data"]["Key"]
    assert created["AbEntry"]["Data"] == {**data, "Key": key}
    served.maximizer.clock.advance(5)
    assert served.entry("Update", {"Data": {"Key": key, "LastName": "Quaverly"}})["AbEntry"]["Data"]["Key"] == key
    fields = {
        "Key": {"Value": 1, "ID": 1, "Number": 1},
        "LastName": 1,
        "Email1": 1,
        "Address": {"City": 1, "ZipCode": 1, "Country": 1},
        "CreationDate": 1,
        "LastModifyDate": 1,
        f"/AbEntry/Udf/$TYPEID({marker})": 1,
        rf"Udf/$NAME({FLAG})": [{"Key": 1, "Value": 1}],
    }
    (row,) = served.read({f"Udf/$TYPEID({marker})": {"$EQ": "1A2B3C4D5E"}}, fields)
    assert row["Key"]["Value"] == key
    assert base64.b64decode(key).decode().split("\t")[:3] == ["Individual", row["Key"]["ID"], "0"]
    assert (row["LastName"], row["Email1"]) == ("Quaverly", "Zoe@ivywire.test")
    assert row["Address"] == {"City": "Montréal", "ZipCode": "H2Y 1C6", "Country": None}
    assert (row["CreationDate"], row["LastModifyDate"]) == ("2026-01-05T09:00:00Z", "2026-01-05T09:00:05Z")
    assert row[f"/AbEntry/Udf/$TYPEID({marker})"] == "1a2b3c4d5e"
    assert row[rf"Udf/$NAME({FLAG})"] == [{"Key": "2", "Value": "Yes"}]
    assert served.maximizer.entry((row["Key"]["ID"], 0))["udfs"] == {MARKER: "1a2b3c4d5e", FLAG: "Yes"}
    assert [call.operation for call in served.door.mutations()] == (
        ["Create AbEntry", "Update AbEntry"] if served.generic else ["AbEntryCreate", "AbEntryUpdate"]
    )


def test_discovery_over_http(served: Any) -> None:
    web = served.root + served.maximizer.web_path
    api = served.session.get(web, params={"request": "api"}, timeout=60).text
    assert api == served.root + ("/octopus" if served.generic else "/MaximizerWebData")
    assert served.session.get(web, params={"request": "ab"}, timeout=60).text == "EsconaDemo"
    assert "text/html" in served.session.get(web, timeout=60).headers["Content-Type"]


def test_token_checks_over_http(served: Any) -> None:
    def verify(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return int(served.session.get(f"{served.base}/VerifyToken", headers=headers, timeout=60).status_code)

    assert (verify(served.token), verify("nonsense")) == (200, 401)
    assert served.raw("TokenValid", {"Token": served.token}) == {"Code": 0}
    assert served.raw("TokenValid", {}, "nonsense")["Code"] == -1
    refused = served.raw("AbEntryRead", {"AbEntry": {}}, "nonsense")
    assert refused["Code"] == (-2 if served.generic else -1)
    assert "token" in text_of(refused).casefold()


def test_session_info_mirrors_the_request(served: Any) -> None:
    asked = {
        "AddressBook": {"Database": 1, "DisplayValue": 1},
        "User": {"Key": {"Value": 1, "Uid": 1}, "DisplayName": 1},
    }
    info = served.raw("GetSessionInfo", asked, served.token)["Data"]
    assert info["AddressBook"] == {"Database": "EsconaDemo", "DisplayValue": "EsconaDemo"}
    assert info["User"]["Key"] == {"Value": base64.b64encode(b"User\tMCSYNC").decode(), "Uid": "MCSYNC"}
    assert served.raw("GetSystemInfo", {})["Code"] == 0


def test_paths_outside_the_api(served: Any) -> None:
    for path in ("/", "/Data.svc/AbEntryRead", f"{served.maximizer.base_path}/Nothing"):
        assert served.session.post(served.root + path, json={}, timeout=60).status_code == 404
    assert served.session.post(f"{served.base}/AbEntryRead", data=b"[not json", timeout=60).status_code == 400
    assert served.session.get(f"{served.base}/AbEntryRead", timeout=60).status_code == 405


def test_the_shorter_on_premise_path(make: Any) -> None:
    caller = make()
    caller.base = caller.root + "/MaximizerWebData/Data.svc"
    assert caller.raw("TokenValid", {"Token": caller.token}) == {"Code": 0}


def test_wrong_credentials(make: Any) -> None:
    caller = make()
    for change in ({"Database": "Other"}, {"UID": "MASTER"}, {"Password": "x"}):
        body = {"Database": "EsconaDemo", "UID": "MCSYNC", "Password": caller.maximizer.password, **change}
        answer = caller.raw("Authenticate", body)
        assert answer["Code"] == -1
        assert "Data" not in answer


def test_a_token_slides_ten_minutes_and_ends_after_a_day(make: Any) -> None:
    caller = make()
    clock = caller.maximizer.clock
    first = caller.token
    for _ in range(24 * 60 // 9):
        clock.advance(540)
        assert caller.raw("GetSessionInfo", {}, first)["Code"] == 0
    clock.advance(540)
    assert "token" in text_of(caller.raw("GetSessionInfo", {}, first)).casefold()
    second = caller.sign_in()
    clock.advance(600)
    assert caller.raw("GetSessionInfo", {"Token": second})["Code"] == 0
    clock.advance(601)
    assert caller.raw("GetSessionInfo", {"Token": second})["Code"] == -1


def test_a_personal_access_token_lives_until_revoked(make: Any) -> None:
    caller = make("cloud")
    caller.maximizer.clock.advance(10**7)
    caller.maximizer.expire_tokens()
    assert caller.raw("GetSessionInfo", {}, caller.token)["Code"] == 0
    caller.maximizer.revoke_token()
    assert caller.raw("GetSessionInfo", {}, caller.token)["Code"] == -2


def test_keys_mean_nothing_in_another_session(make: Any) -> None:
    caller = make()
    person = caller.maximizer.add_person("Ansel", "Yarrowby")
    key = caller.key(person)
    caller.sign_in()
    assert caller.read({"Key": {"$EQ": key}}, {"Key": 1}) == []
    assert caller.entry("Update", {"Data": {"Key": key, "LastName": "X"}})["Code"] == -1
    assert caller.key(person) != key
    caller = make(quirks={"keys-stable"})
    person = caller.maximizer.add_person("Ansel", "Yarrowby")
    key = caller.key(person)
    assert base64.b64decode(key).decode() == f"Individual\t{person[0]}\t0"
    caller.sign_in()
    assert caller.key(person) == key


def test_no_bearer_and_vendor_key(make: Any) -> None:
    caller = make(quirks={"no-bearer"})
    assert caller.raw("GetSessionInfo", {}, caller.token)["Code"] == -1
    assert caller.raw("GetSessionInfo", {"token": caller.token})["Code"] == 0
    caller.maximizer.quirks = {"vendor-key"}
    body = {"Database": "EsconaDemo", "UID": "MCSYNC", "Password": caller.maximizer.password}
    assert caller.raw("Authenticate", body)["Code"] == -1
    assert caller.raw("Authenticate", {**body, "VendorId": "v", "AppKey": "k"})["Code"] == 0


def test_rate_limit(make: Any) -> None:
    caller = make("cloud", quirks={"rate-limit"})
    answers = [caller.session.post(f"{caller.base}/TokenValid", json={}, timeout=60) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 11
    caller.maximizer.clock.advance(int(answers[-1].headers["Retry-After"]))
    assert caller.session.post(f"{caller.base}/TokenValid", json={}, timeout=60).status_code == 200


def test_faults_speak_the_services_own_words(make: Any) -> None:
    faults = Faults()
    caller = make(faults=faults)
    faults.next("maximizer", "token-expired", "GetSessionInfo")
    assert "token" in text_of(caller.raw("GetSessionInfo", {}, caller.token)).casefold()
    assert caller.raw("GetSessionInfo", {}, caller.token)["Code"] == -1
    caller.sign_in()
    faults.next("maximizer", "code-minus-1")
    assert caller.raw("GetSessionInfo", {}, caller.token)["Code"] == -1
    assert caller.raw("GetSessionInfo", {}, caller.token)["Code"] == 0
