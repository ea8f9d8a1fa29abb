"""Schema in both dialects, folders, table items; and what people do at the screens."""

from typing import Any

import pytest

FLAG = r"MailChimp\Sync with MailChimp"
MARKER = r"MailChimp\MailChimp ID"
MODERN = {"Compatibility": {"SchemaObject": "1.0"}}
SQL = {"Configuration": {"Drivers": {"IAbEntrySearcher": "Maximizer.Model.Access.Sql.AbEntrySearcher"}}}


def _schema(caller: Any, query: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = caller.raw(
        "Read", {"Schema": {"Scope": {"Fields": 1}, "Criteria": {"SearchQuery": query}}, **more}, caller.token
    )
    rows: list[dict[str, Any]] = answer["Schema"]["Data"]
    return rows


def test_schema_in_both_dialects(make: Any) -> None:
    caller = make()
    typeid = caller.maximizer.add_udf(MARKER, "text", max_length=29)
    modern = {row["Key"]: row for row in _schema(caller, {"Key": {"$TREE": "/AbEntry"}}, **MODERN)}
    row = modern[f"/AbEntry/Udf/$TYPEID({typeid})"]
    assert (row["Name"], row["AppliesTo"]) == (MARKER, ["Individual", "Contact"])
    assert row["Type"] == "StringField"
    assert row["Attributes"]["MaxLength"] == 29
    assert rf"Udf/$NAME({MARKER})" in row["Alias"]
    assert modern["/AbEntry/LastName"]["Attributes"] == {"MaxLength": 79}
    old = {row["Key"]: row for row in _schema(caller, {"AppliesTo": {"$IN": ["AbEntry"]}})}
    row = old[f"Udf/$TYPEID({typeid})"]
    assert (row["Name"], row["AppliesTo"], row["Folder"]["Path"]) == ("MailChimp ID", ["AbEntry"], "MailChimp")
    assert _schema(caller, {"Name": {"$EQ": "mailchimp id"}}) == [row]
    caller.maximizer.quirks = {"schema-0x"}
    assert _schema(caller, {"Name": {"$EQ": "MailChimp ID"}}, **MODERN) == [row]


@pytest.mark.parametrize(("profile", "folder_object"), [("on-premise", "SchemaFolder"), ("cloud", "Folder")])
def test_set_up_of_the_two_fields(make: Any, profile: str, folder_object: str) -> None:
    caller = make(profile)
    folder = {"Key": None, "Name": "MailChimp", "AppliesTo": ["AbEntry"], "ParentKey": "VWRmU2V0dXAJMA=="}
    key = caller.raw("Create", {folder_object: {"Data": folder}}, caller.token)[folder_object]["Data"]["Key"]
    listed = {
        folder_object: {
            "Scope": {"Fields": {"Key": 1, "Path": 1}},
            "Criteria": {"SearchQuery": {"Name": {"$EQ": "mailchimp"}}},
        }
    }
    assert caller.raw("Read", listed, caller.token)[folder_object]["Data"] == [{"Key": key, "Path": "MailChimp"}]
    for name, kind, given in (
        ("MailChimp ID", "StringField", {"MaxLength": 29}),
        ("Sync with MailChimp", "EnumField<StringItem>", {"MultiSelect": False, "YesNo": True}),
    ):
        data = {
            "Key": None,
            "Type": kind,
            "Name": name,
            "AppliesTo": ["Individual", "Contact"],
            "Folder": key,
            "Attributes": given,
        }
        answer = caller.raw("Create", {"Schema": {"Data": data}, **MODERN}, caller.token)["Schema"]["Data"]
        assert answer["Key"].startswith("/AbEntry/Udf/$TYPEID(")
        assert given.items() <= answer["Attributes"].items()
        assert caller.raw("Create", {"Schema": {"Data": data}, **MODERN}, caller.token)["Code"] == -1
    person = caller.maximizer.add_person("Edda", "Umberfield", udfs={FLAG: "Yes", MARKER: "0a1b2c3d4e"})
    assert caller.maximizer.entry(person)["udfs"] == {FLAG: "Yes", MARKER: "0a1b2c3d4e"}
    caller.maximizer.quirks = {"no-udf-setup"}
    data = {"Key": None, "Type": "StringField", "Name": "More", "AppliesTo": ["AbEntry"]}
    assert caller.raw("Create", {"Schema": {"Data": data}}, caller.token)["Code"] == -1


def test_schema_0x_knows_all_types_only(make: Any) -> None:
    caller = make()
    data = {
        "Key": None,
        "Type": "TxDictionary<UdfTableItem>",
        "Name": "Old",
        "AppliesTo": ["AbEntry"],
        "Attributes": {"YesNo": True},
    }
    answer = caller.raw("Create", {"Schema": {"Data": data}}, caller.token)["Schema"]["Data"]
    assert answer["Key"].startswith("Udf/$TYPEID(")
    company = caller.maximizer.add_company("Gantry Nine", Old="Yes")
    assert caller.maximizer.entry(company)["udfs"] == {"Old": "Yes"}
    refused = {**data, "Name": "Older", "AppliesTo": ["Individual"]}
    assert caller.raw("Create", {"Schema": {"Data": refused}}, caller.token)["Code"] == -1


def test_table_items_in_both_shapes(make: Any) -> None:
    caller = make()
    m = caller.maximizer
    one, two = (f"Udf/$TYPEID({m.add_udf(name, 'multi', ['Red', 'Blue'])})" for name in ("One", "Two"))
    asked = {name: [{"Key": 1, "Value": 1}] for name in (one, two)}
    old = caller.raw("AbEntryGetFieldOptions", {"AbEntry": {"Options": asked}}, caller.token)
    assert old["AbEntry"]["Data"] == {
        name: [{"Key": "1", "Value": "Red"}, {"Key": "2", "Value": "Blue"}] for name in (one, two)
    }
    change = {"AbEntry": {"FieldOptions": {one: [{"Key": None, "Name": "Green"}]}}, **MODERN}
    assert caller.raw("Update", change, caller.token)["AbEntry"]["FieldOptions"] == {
        one: [{"Key": "3", "Name": "Green"}]
    }
    listed = {"AbEntry": {"FieldOptions": {one: [{"Key": 1, "Name": 1}]}}, **MODERN}
    rows = caller.raw("Read", listed, caller.token)["AbEntry"]["FieldOptions"][one]
    assert [row["Name"] for row in rows] == ["Red", "Blue", "Green"]
    person = m.add_person("Wendel", "Quillfeather", udfs={"One": ["Red", "Green"]})
    modify = {
        "AbEntry": {"FieldOptions": {one: [{"Key": "1", "Name": "Crimson"}]}, "Options": {"Modify": True}},
        **MODERN,
    }
    assert caller.raw("Update", modify, caller.token)["Code"] == 0
    assert m.entry(person)["udfs"]["One"] == ["Crimson", "Green"]
    remove = {"AbEntry": {"FieldOptions": {one: [{"Key": "3"}]}, "Options": {"Remove": True}}, **MODERN}
    assert caller.raw("Update", remove, caller.token)["Code"] == 0
    assert m.entry(person)["udfs"]["One"] == ["Crimson"]


def test_the_oldest_field_list(make: Any) -> None:
    caller = make()
    typeid = caller.maximizer.add_udf(r"A\Plan", "single", ["x"])
    answer = caller.raw(
        "AbEntryGetFieldInfo", {"AbEntry": {"Options": {"Type": "Contact", "Complex": False}}}, caller.token
    )
    found = answer["AbEntry"]["Data"]["properties"]
    assert found["LastName"]["type"][1] == "string"
    assert found["Address"]["properties"]["City"] == {"name": "City"}
    assert found[f"Udf/$TYPEID({typeid})"] == {
        "name": r"A\Plan",
        "type": ["null", "array"],
        "alias": [f"Udf/$TYPEID({typeid})"],
        "mxtype": "EnumField<StringItem>",
        "readonly": False,
    }


def test_update_and_delete_of_a_definition(make: Any) -> None:
    caller = make()
    typeid = caller.maximizer.add_udf(r"A\Old", "text")
    person = caller.maximizer.add_person("Elio", "Sorrelby", udfs={r"A\Old": "kept"})
    data = {"Key": f"/AbEntry/Udf/$TYPEID({typeid})", "Name": "New"}
    assert caller.raw("Update", {"Schema": {"Data": data}, **MODERN}, caller.token)["Code"] == 0
    assert caller.maximizer.entry(person)["udfs"] == {r"A\New": "kept"}
    assert caller.raw("Delete", {"Schema": {"Data": data}, **MODERN}, caller.token)["Code"] == 0
    assert caller.maximizer.entry(person)["udfs"] == {}
    assert caller.maximizer.deletes == 1


def test_r11_an_individual_becomes_a_contact(make: Any) -> None:
    m = make().maximizer
    company = m.add_company("Kelp & Co Cycles")
    person = m.add_person("Thaïs", "Moss", "thais@larkpost.test", CompanyName="Her own")
    key = m.convert_to_contact(person, company)
    assert key == (company[0], 1)
    assert m.entry(key)["Email1"] == "thais@larkpost.test"
    assert m.entry(key)["CompanyName"] == "Kelp & Co Cycles"
    assert person not in m.entries()
    with pytest.raises(KeyError):
        m.entry(person)


def test_people_change_definitions(make: Any) -> None:
    m = make().maximizer
    m.add_udf(r"A\Plan", "single", ["Basic", "Plus"])
    person = m.add_person("Rhys", "Pinecastle", udfs={r"A\Plan": "Plus"})
    assert m.add_option(r"A\Plan", "Gold") == "3"
    m.rename_option(r"A\Plan", "2", "Plus!")
    assert m.entry(person)["udfs"] == {r"A\Plan": "Plus!"}
    twin = m.copy_entry(person)
    assert m.entry(twin)["udfs"] == {r"A\Plan": "Plus!"}
    m.change_kind(r"A\Plan", "text")
    m.edit(person, {r"A\Plan": "any text", "Address.City": "Boise"})
    assert m.entry(person)["udfs"] == {r"A\Plan": "any text"}
    m.remove_udf(r"A\Plan")
    assert m.entry(person)["udfs"] == {}
    m.remove(person)
    assert list(m.entries()) == [twin]
    with pytest.raises(KeyError):
        m.edit(twin, {r"A\Plan": "x"})
    with pytest.raises(ValueError, match="Contact needs one"):
        m.add_person("A", "B", type="Contact")


def test_people_over_the_control_path(make: Any) -> None:
    caller = make()
    m = caller.maximizer

    def do(action: str, **arguments: Any) -> Any:
        wish = {"do": action, "arguments": arguments}
        return caller.session.post(f"{caller.root}/_sandbox/people", json=wish, timeout=60).json()

    do("add_udf", path=r"A\Likes", kind="multi", options=["Tea", "Milk"])
    company = do("add_company", name="Salt & Quill")["result"]
    person = do("add_person", first="Ayda", last="Sorrelby", udfs={r"A\Likes": ["Milk"]})["result"]
    do("edit", key=person, fields={"Address.City": "Boise"})
    moved = do("convert_to_contact", key=person, company_key=company)["result"]
    assert moved == [company[0], 1]
    entry = do("entry", key=moved)["result"]
    assert (entry["Address"]["City"], entry["udfs"]) == ("Boise", {r"A\Likes": ["Milk"]})
    do("hide", keys=[moved])
    assert caller.read({"Type": {"$EQ": "Contact"}}, {"Key": 1}) == []
    assert "error" in do("handle", request=None)
    state = caller.session.get(f"{caller.root}/_sandbox/state", timeout=60).json()
    assert state["entries"] == {"Company": 1, "Contact": 1}
    assert m.deletes == 0


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("Create", {"Schema": {"Data": {"Name": "x", "Type": "StringField", "AppliesTo": 1.5}}}),
        ("Create", {"Schema": {"Data": {"Name": "x", "Type": "StringField", "AppliesTo": [[]]}, **MODERN}}),
        ("Create", {"Schema": {"Data": {"Name": "x", "Type": "BlobField", "AppliesTo": ["AbEntry"]}}}),
        ("Create", {"Schema": {"Data": None}}),
        ("Create", {"SchemaFolder": {"Data": {"Name": "x", "ParentKey": "nonsense"}}}),
        ("Create", {"AbEntry": {"Data": []}}),
        ("Create", {"Nothing": {}}),
        ("Update", {"AbEntry": {"FieldOptions": [None]}, **MODERN}),
        ("Update", {"AbEntry": {"FieldOptions": {"LastName": []}}, **MODERN}),
        ("Read", {"User": {"Scope": {"Fields": 1}}}),
        ("Read", {"AbEntry": {"Scope": {"Fields": {"Key": 1}}, "OrderBy": {"Fields": 7}}, **SQL}),
        ("AbEntryGetFieldInfo", {"AbEntry": {"Options": {"Type": "Household"}}}),
    ],
)
def test_nonsense_is_refused(make: Any, method: str, body: dict[str, Any]) -> None:
    caller = make()
    answer = caller.raw(method, body, caller.token)
    assert answer["Code"] == -1
    assert answer["Msg"]
