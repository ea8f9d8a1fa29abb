"""Creating, reading and updating entries."""

import base64
from typing import Any

import pytest

SQL = {"Configuration": {"Drivers": {"IAbEntrySearcher": "Maximizer.Model.Access.Sql.AbEntrySearcher"}}}


def by_id(key: tuple[str, int]) -> dict[str, Any]:
    return {"Key": {"$EQ": {"ID": key[0], "Number": key[1]}}}


def number_of(answer: dict[str, Any]) -> int:
    return int(answer["Msg"][0]["ErrorCode"])


def test_types_on_create(make: Any) -> None:
    caller = make()
    company = caller.create({"CompanyName": "Foxglove Tools"})["AbEntry"]["Data"]["Key"]
    contact = caller.create({"LastName": "Willowherb", "ParentKey": company})["AbEntry"]["Data"]["Key"]
    client_id = base64.b64decode(company).decode().split("\t")[1]
    assert base64.b64decode(contact).decode().split("\t")[:3] == ["Contact", client_id, "1"]
    (row,) = caller.read(
        {"ParentKey": {"$EQ": company}}, {"Type": 1, "CompanyName": 1, "ParentKey": {"ID": 1, "Number": 1}}
    )
    assert row == {"Type": "Contact", "CompanyName": "Foxglove Tools", "ParentKey": {"ID": client_id, "Number": 0}}


@pytest.mark.parametrize(
    ("data", "number"),
    [
        ({"Type": "Individual", "FirstName": "A"}, -10010),
        ({"Type": "Contact", "LastName": "A"}, -10010),
        ({"FirstName": "A"}, -1023),  # without Type and ParentKey it is a Company
        ({"Type": "Individual", "LastName": "A", "Nonsense": 1}, -1023),
        ({"Type": "Individual", "LastName": "A", "CreationDate": "2020-01-01"}, -1023),
        ({"Type": "Individual", "LastName": 5}, -1024),
        ({"Type": "Individual", "LastName": "A", "Lead": "yes"}, -1024),
        ({"Type": "Individual", "LastName": "A", "Email1": {"Address": 1}}, -1024),
        ({"Type": "Individual", "LastName": "A", "Address": "here"}, -1024),
        ({"Type": "Individual", "LastName": "A", r"Udf/$NAME(M\Number)": "5"}, -1024),
        ({"Type": "Individual", "LastName": "A", r"Udf/$NAME(M\Date)": 20200101}, -1024),
        ({"Type": "Individual", "LastName": "A", r"Udf/$NAME(M\Date)": "2023-02-29"}, -1024),
        ({"Type": "Individual", "LastName": "A", r"Udf/$NAME(M\Single)": ["1", "2"]}, -1024),
        ({"Type": "Individual", "LastName": "A", r"Udf/$NAME(M\Single)": ["9"]}, -60054),
        ({"Type": "Individual", "LastName": "A", r"Udf/$NAME(M\Revenue)": 5}, -1023),
        ({"Type": "Individual", "LastName": "A" * 80}, -1),
    ],
)
def test_refusals_on_create(make: Any, data: dict[str, Any], number: int) -> None:
    caller = make(quirks={"msg-objects"})
    m = caller.maximizer
    m.add_udf(r"M\Number", "number")
    m.add_udf(r"M\Date", "date")
    m.add_udf(r"M\Single", "single", ["Red", "Blue"])
    m.add_udf(r"M\Revenue", "number", applies_to=("Company",))
    answer = caller.create(data)
    assert (answer["Code"], number_of(answer)) == (-1, number)
    assert m.entries() == {}


def test_values_of_every_kind_are_read_as_they_were_written(make: Any) -> None:
    caller = make()
    m = caller.maximizer
    kinds: dict[str, tuple[Any, Any]] = {
        "text": ("NA", "NA"),
        "number": (12.346, 12.35),
        "date": ("2020-02-29T00:00:00Z", "2020-02-29"),
        "annual": ("1984-02-29", "1984-02-29"),
        "single": ("2", ["2"]),
        "multi": (["3", "1"], ["1", "3"]),
        "yesno": ({"Value": ["1"]}, ["1"]),
    }
    names = {kind: f"Udf/$TYPEID({m.add_udf(kind, kind, _options(kind))})" for kind in kinds}
    sent = {names[kind]: value for kind, (value, _) in kinds.items()}
    caller.create({"Type": "Individual", "LastName": "Larkspurling", **sent})
    (row,) = caller.read({}, dict.fromkeys(names.values(), 1))
    assert row == {names[kind]: stored for kind, (_, stored) in kinds.items()}
    (key,) = m.entries()
    cleared: dict[str, Any] = {
        "text": "",
        "number": None,
        "date": None,
        "annual": None,
        "single": [],
        "multi": [],
        "yesno": None,
    }
    caller.update(key, {names[kind]: value for kind, value in cleared.items()})
    assert caller.read({}, dict.fromkeys(names.values(), 1)) == [dict.fromkeys(names.values())]


def _options(kind: str) -> tuple[str, ...]:
    return ("Red", "Green", "Blue") if kind in ("single", "multi") else ()


def test_names_without_case_and_answers_as_asked(make: Any) -> None:
    caller = make()
    caller.maximizer.add_company("Hedgerow Paper")
    body = {
        "abEntry": {
            "scope": {"fields": {"companyName": 1, "key": {"id": 1}, "WEBSITE": 1}},
            "criteria": {"searchQuery": {"COMPANYNAME": {"$LIKE": "hedge%"}}},
        }
    }
    rows = caller.raw("AbEntryRead", body, caller.token)["abEntry"]["Data"]
    assert rows[0]["companyName"] == "Hedgerow Paper"
    assert set(rows[0]) == {"companyName", "key", "WEBSITE"}
    assert set(rows[0]["key"]) == {"id"}


def test_default_email_and_phone(make: Any) -> None:
    caller = make()
    sent = {
        "Email1": "a@kelpmail.test",
        "Email2": {"Address": "b@kelpmail.test", "Default": True, "Description": "Work"},
        "Phone1": {"Number": "604-555-0101", "Extension": "7"},
    }
    caller.create({"Type": "Individual", "LastName": "Dewberrow", **sent})
    fields = {
        "Email": 1,
        "Email1": {"Address": 1, "Default": 1},
        "Email2": {"Address": 1, "Default": 1, "Description": 1},
        "Phone": {"Number": 1, "Extension": 1},
        "Email3": {"Address": 1},
        "Phone4": 1,
    }
    assert caller.read({}, fields) == [
        {
            "Email": "b@kelpmail.test",
            "Email1": {"Address": "a@kelpmail.test", "Default": False},
            "Email2": {"Address": "b@kelpmail.test", "Default": True, "Description": "Work"},
            "Phone": {"Number": "604-555-0101", "Extension": "7"},
            "Email3": {"Address": None},
            "Phone4": "",
        }
    ]


def test_an_update_changes_only_what_is_sent(make: Any) -> None:
    caller = make()
    m = caller.maximizer
    person = m.add_person("Ilse", "Fernacre", "ilse@gorsemail.test", Address={"City": "Boise", "Country": "US"})
    before = m.entry(person)
    m.clock.advance(1.9)
    assert caller.update(person, {"Address": {"City": "Austin"}, "LastName": "Fernacre"})["Code"] == 0
    after = m.entry(person)
    assert after["Address"] == {**before["Address"], "City": "Austin"}
    assert {name for name in after if after[name] != before[name]} == {"Address", "LastModifyDate"}
    assert after["LastModifyDate"] == before["LastModifyDate"] + 1
    assert m.notes == {person: 1}


def test_what_an_update_refuses(make: Any) -> None:
    caller = make(quirks={"msg-objects"})
    m = caller.maximizer
    company = m.add_company("Inkberry Books")
    contact = m.add_person("Vesna", "Oakmantle", type="Contact", parent=company)
    assert number_of(caller.update(contact, {"LastName": ""})) == -10003
    assert number_of(caller.update(contact, {"CompanyName": "X"})) == -1023
    assert number_of(caller.update(company, {"LastName": "X"})) == -1023
    assert caller.update(contact, {"Type": "Individual"})["Code"] == -1
    assert caller.update(contact, {"Type": "contact", "FirstName": "V"})["Code"] == 0
    assert caller.update(contact, {"ParentKey": caller.key(contact)})["Code"] == -1
    m.protect([contact])
    assert caller.update(contact, {"FirstName": "W"})["Code"] == -1
    (row,) = caller.read(by_id(contact), {"SecStatus": {"CanRead": 1, "CanUpdate": 1}})
    assert row["SecStatus"] == {"CanRead": True, "CanUpdate": False}


def test_mandatory_basic_fields(make: Any) -> None:
    caller = make(quirks={"msg-objects"})
    m = caller.maximizer
    person = m.add_person("Bram", "Ivydale")
    m.set_required("Position")
    assert number_of(caller.create({"Type": "Individual", "LastName": "A"})) == -10010
    assert caller.update(person, {"FirstName": "B"})["Code"] == 0
    m.quirks = {"msg-objects", "update-checks-mandatory"}
    assert number_of(caller.update(person, {"FirstName": "C"})) == -10003
    m.set_required("Position", False)
    m.add_udf("Reason", "text", mandatory=True)
    assert number_of(caller.create({"Type": "Individual", "LastName": "A"})) == -10010
    assert caller.create({"Type": "Individual", "LastName": "A", "Reason": "because"})["Code"] == 0
    answer = caller.raw("Validate", {"AbEntry": {"Data": {"Key": None, "Type": "Individual"}}}, caller.token)
    assert answer["AbEntry"]["Validation"]["LastName"] == {"Mandatory": True}
    assert any("$TYPEID" in name for name in answer["AbEntry"]["Validation"])


def test_hidden_entries_are_neither_read_nor_written(make: Any) -> None:
    caller = make()
    m = caller.maximizer
    person = m.add_person("Hana", "Tidewrack", "hana@ivywire.test")
    key = caller.key(person)
    m.hide([person])
    assert caller.read({"Email": {"$EQ": "hana@ivywire.test"}}, {"Key": 1}) == []
    assert caller.read(by_id(person), {"Key": 1}) == []
    assert caller.entry("Update", {"Data": {"Key": key, "FirstName": "X"}})["Code"] == -1
    m.unhide([person])
    assert caller.read(by_id(person), {"FirstName": 1}) == [{"FirstName": "Hana"}]


def test_deletes_are_counted(make: Any) -> None:
    caller = make()
    company = caller.maximizer.add_company("Redstart Foods")
    caller.maximizer.add_person("Signe", "Rushwillow", type="Contact", parent=company)
    assert caller.maximizer.deletes == 0
    assert caller.entry("Delete", {"Data": {"Key": caller.key(company)}}) == {"Code": 0}
    assert caller.maximizer.deletes == 1
    assert caller.maximizer.entries() == {}


def test_the_address_object(make: Any) -> None:
    caller = make("cloud", quirks={"flaky-address"})
    person = caller.maximizer.add_person("Dov", "Saffronel", Address={"City": "Duluth", "ZipCode": "55801"})
    asked = {
        "Scope": {"Fields": {"Key": 1, "City": 1}},
        "Criteria": {"SearchQuery": {"ParentKey": {"$EQ": caller.key(person)}}},
    }
    (row,) = caller.raw("Read", {"Address": asked}, caller.token)["Address"]["Data"]
    assert row["City"] == "Duluth"
    caller.raw("Update", {"Address": {"Data": {"Key": row["Key"], "City": "Boston"}}}, caller.token)
    assert caller.maximizer.entry(person)["Address"]["City"] == "Boston"


def test_batch_reads_answer_under_their_own_names(make: Any) -> None:
    caller = make("cloud")
    for name in ("Anvil", "Brass"):
        caller.maximizer.add_company(name)
    asked = {
        f"AbEntry.{n}": {
            "Scope": {"Fields": {"CompanyName": 1}},
            "Criteria": {"SearchQuery": {"CompanyName": {"$EQ": n}}},
        }
        for n in ("anvil", "brass")
    }
    answer = caller.raw("Read", {**asked, **SQL}, caller.token)
    assert answer["AbEntry.anvil"]["Data"] == [{"CompanyName": "Anvil"}]
    assert answer["AbEntry.brass"]["Data"] == [{"CompanyName": "Brass"}]
    asked["AbEntry.anvil"] = {"Criteria": {"SearchQuery": {"$NOT": {}}}}
    assert set(caller.raw("Read", {**asked, **SQL}, caller.token)) == {"Code", "Msg"}
