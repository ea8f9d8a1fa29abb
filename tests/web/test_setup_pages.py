"""Set-up pages do what the command line does: connection, list, mappings, settings, runs (R37-R44, S8, S16, S23)."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from floor import Floor, furnish
from oddities import FIELDS, TITLES
from sqlalchemy import select
from visitor import Seen, Visitor

from app.web.jobs import Job
from domain.errors import Blocked
from flows import kept
from flows.settings import load_settings
from storage import connections, credentials
from storage.engine import begin
from storage.tables import run

KEY = "fedcba9876543210fedcba9876543210-us6"


class Told(str):
    """What a page says; upper and lower case do not matter."""

    def __contains__(self, text: object) -> bool:
        return str(text).casefold() in str(self).casefold()


def words(seen: Seen) -> Told:
    return Told(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", seen.text)))


@pytest.fixture
def setup(floor: Floor) -> Visitor:
    return floor.visitor().administrate()


def good(visitor: Visitor, path: str, **body: object) -> Told:
    seen = visitor.post(f"/api/setup/{path}", body)
    assert seen.status == 200, words(seen)
    return words(seen)


def bad(visitor: Visitor, path: str, status: int = 422, **body: object) -> Told:
    seen = visitor.post(f"/api/setup/{path}", body)
    assert seen.status == status, words(seen)
    return words(seen)


# ---------------------------------------------------------------- Connection


def test_r37_a_valid_key_shows_the_account(setup: Visitor) -> None:
    told = good(setup, "connection/key")
    for label in ("Account", "Contact", "Plan", "Industry", "Total subscribers", "Last login"):
        assert label in told
    assert "Escona Invented Ltd." in told


def keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Floor:
    """A page that may store; settings come as from the environment and the store."""
    secret = Fernet.generate_key().decode()
    floor = furnish(tmp_path, secret_key=secret)
    before = floor.page.site.settings
    site = floor.page.site
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'maxchimp.db'}",
        "SECRET_KEY": secret,
        "MAILCHIMP_URL": before.mailchimp_url,
        **settings,
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"MAXCHIMP_{name}", value)
    monkeypatch.chdir(tmp_path)
    site.load = load_settings
    site.changed()
    return floor


SERVER = ("maximizer_url", "maximizer_web_url", "maximizer_database", "maximizer_user", "maximizer_password")


def server_of(floor: Floor) -> dict[str, str]:
    crm = floor.office.maximizer
    return {
        "maximizer_url": f"http://127.0.0.1:2{crm.base_path}",
        "maximizer_web_url": f"http://127.0.0.1:2{crm.web_path}",
        "maximizer_database": crm.database.name,
        "maximizer_user": crm.user,
        "maximizer_password": crm.password,
    }


def test_r37_r38_what_is_typed_is_tried_stored_encrypted_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = keyed(tmp_path, monkeypatch)
    setup = floor.visitor().administrate()
    assert "not set" in good(setup, "connection")
    told = good(setup, "connection/key", mailchimp_api_key=floor.office.mailchimp.api_key)
    assert "Escona Invented Ltd." in told
    told = good(setup, "connection/server", **server_of(floor))
    assert "Signed in." in told
    database = (tmp_path / "maxchimp.db").read_bytes() + (tmp_path / "maxchimp.db-wal").read_bytes()
    for name in ("mailchimp_api_key", "maximizer_password"):
        secret = kept.text_of(floor.page.site.settings, name)
        assert secret
        assert secret.encode() not in database
    assert load_settings("default").maximizer_user == "MCSYNC"
    assert floor.page.get("/tab").headers["content-security-policy"].endswith("frame-ancestors http://127.0.0.1:2")
    good(setup, "connection/make")
    good(setup, "lists")


def test_s23_a_secret_is_never_shown_again(setup: Visitor, floor: Floor) -> None:
    key, password = floor.office.mailchimp.api_key, floor.office.maximizer.password
    for path in (
        "connection",
        "connection/key",
        "connection/server",
        "connection/make",
        "configuration",
        "checks",
        "runs",
    ):
        text = setup.post(f"/api/setup/{path}").text
        assert password not in text
        assert key not in text
        assert key[:8] not in text
    assert f"{key[-8:-4]}-us6" in setup.post("/api/setup/connection").text


def test_without_a_key_nothing_is_stored_and_it_says_where_to_put_it(setup: Visitor, floor: Floor) -> None:
    told = bad(setup, "connection/key", mailchimp_api_key=KEY)
    assert "MAXCHIMP_SECRET_KEY" in told
    assert "MAXCHIMP_SECRET_KEY" in good(setup, "connection")
    assert credentials.kept(floor.office.engine, "default") == {}


@pytest.mark.parametrize(
    "key",
    ["x", KEY.upper(), KEY + "x", "-us6", KEY.replace("us6", "us1.evil.example"),
     KEY.replace("us6", "us6@169.254.169.254"),
     KEY.replace("us6", "us6#"), KEY.replace("us6", "us6/.."), KEY + "\r\nX: y", KEY.replace("us6", "us6\u3002x"),
     KEY],
)  # fmt: skip
def test_r37_s15_a_wrong_key_is_an_error_and_nothing_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    floor = keyed(tmp_path, monkeypatch)
    setup = floor.visitor().administrate()
    told = bad(setup, "connection/key", mailchimp_api_key=key)
    assert len(key) < 5 or key not in told
    assert credentials.kept(floor.office.engine, "default") == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"maximizer_password": "wrong"}, "refuses this sign-in"),
        ({"maximizer_database": "Elsewhere"}, "refuses this sign-in"),
        ({"maximizer_url": "http://crm.example/MaximizerWebData/Data.svc"}, "for this machine only"),
        ({"maximizer_url": "https://169.254.169.254/MaximizerWebData/Data.svc"}, "never a CRM"),
        ({"maximizer_url": "https://crm.example/other"}, "not the address of a Maximizer API"),
        ({"maximizer_url": "file:///etc/MaximizerWebData/Data.svc"}, "http(s)"),
        ({"maximizer_url": "https://u:p@crm.example/MaximizerWebData/Data.svc"}, "no user name"),
    ],
)
def test_r38_s16_a_wrong_maximizer_is_an_error_and_nothing_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    floor = keyed(tmp_path, monkeypatch)
    setup = floor.visitor().administrate()
    if "maximizer_url" in change:
        change = change | {"maximizer_web_url": "https://crm.example/MaximizerWebAccess"}
    told = bad(setup, "connection/server", **(server_of(floor) | change))
    assert said in told
    assert credentials.kept(floor.office.engine, "default") == {}


def test_r38_localhost_is_no_web_access_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    floor = keyed(tmp_path, monkeypatch)
    setup = floor.visitor().administrate()
    given = server_of(floor) | {
        "maximizer_url": "https://crm.example/MaximizerWebData/Data.svc",
        "maximizer_web_url": "http://localhost/MaximizerWebAccess",
    }
    assert "only this machine can reach" in bad(setup, "connection/server", **given)


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    floor = keyed(tmp_path, monkeypatch, MAILCHIMP_API_KEY=KEY)
    setup = floor.visitor().administrate()
    assert "MAXCHIMP_MAILCHIMP_API_KEY" in bad(setup, "connection/key", mailchimp_api_key=KEY.replace("f", "e"))
    box = kept.cipher(floor.page.site.settings)
    assert box is not None
    kept.keep(floor.office.engine, floor.page.site.settings, {"mailchimp_api_key": "0" * 32 + "-us1"})
    assert kept.text_of(load_settings("default"), "mailchimp_api_key") == KEY


def test_r43_a_page_that_became_another_address_book(floor: Floor, setup: Visitor) -> None:
    site = floor.page.site
    connections.update(site.engine, floor.office.connection.id, address_book="Before")
    assert "Before" in bad(setup, "connection/make")
    assert "type CHANGE" in bad(setup, "connection/make", new_address_book=True)
    assert "changed the Address Book" in good(setup, "connection/make", new_address_book=True, confirm="CHANGE")


def test_r40_the_definition_for_making_the_field_by_hand(setup: Visitor) -> None:
    from xml.etree import ElementTree

    file = setup.post("/api/setup/connection/mxi").json
    (only,) = ElementTree.fromstring(file["text"])
    assert only.attrib == {"Name": r"MailChimp\MailChimp ID", "Type": "String", "Length": "29", "Companies": "No",
                           "Individuals": "Yes", "Contacts": "Yes"}  # fmt: skip
    steps = good(setup, "connection/steps")
    assert "Sync with MailChimp" in steps
    assert "Yes/No" in steps


def test_r41_a_group_is_made_from_here(setup: Visitor, floor: Floor) -> None:
    assert "at least one option" in bad(setup, "connection/make", group="Interests")
    assert "created the group Interests" in good(setup, "connection/make", group="Interests", options="One\n\nTwo\n")
    titles = [category.title for category in floor.office.mailchimp.audiences[floor.office.list_id].categories.values()]
    assert "Interests" in titles


# ---------------------------------------------------------------- Configuration


def test_r39_changing_the_list_wants_a_typed_word(setup: Visitor, floor: Floor) -> None:
    other = floor.office.mailchimp.add_list("Another Letter")
    assert "Another Letter" in good(setup, "lists")
    before = connections.mappings(floor.office.engine, floor.office.connection.id)
    for confirm in ("", "change", "yes"):
        assert "type CHANGE" in bad(setup, "lists/choose", list_id=other, confirm=confirm)
    assert connections.mappings(floor.office.engine, floor.office.connection.id) == before
    told = good(setup, "lists/choose", list_id=other, confirm="CHANGE")
    assert "mappings dropped" in told
    assert floor.office.connection.list_id == other
    assert floor.office.links() == []


def test_r20_mappings_are_added_changed_and_removed(setup: Visitor, floor: Floor) -> None:
    told = good(setup, "mapping")
    assert "REF" in told
    assert "always mapped" in told
    assert "is mapped to Marketing\\Region" in good(setup, "mapping/add", tag="REGION", field="Marketing\\Region")
    assert "is mapped already" in bad(setup, "mapping/add", tag="PHONE", field="Position")
    assert "cannot be mapped" in bad(setup, "mapping/modify", tag="REGION", field="LastName")
    assert "Mailchimp may change it" in good(setup, "mapping/modify", tag="JOB", field="Position", basic="update")
    assert "no longer mapped" in good(setup, "mapping/remove", tag="REGION")
    assert "cannot be removed" in bad(setup, "mapping/remove", tag="EMAIL")
    assert floor.office.connection.full_reason == "mapping changed"


def test_r20_fields_and_groups_of_any_name_are_mapped(setup: Visitor, floor: Floor) -> None:
    """What the page offers is what it takes, and what stands there is what the field is called."""
    make = floor.office.maximizer
    for path in (*FIELDS, r"Sales\Twin", r"Sales\Second"):
        make.add_udf(path, "text")
    second = make.database.schema.at(r"Sales\Second").ref
    make.rename_udf(r"Sales\Second", "Twin")  # two of one name: each is offered by its key
    title = TITLES[4]
    floor.office.mailchimp.add_group(floor.office.list_id, title, ["one"])
    make.add_udf(r"Sales/EU\Choices", "multi", ["one"])
    page = setup.post("/api/setup/mapping").text
    form = page[page.index('<summary>Change<span class="unseen"> REF</span>') :].partition("</form>")[0]
    offered = dict(re.findall(r'<option value="([^"]*)" *(?:selected)?>(.*?)</option>', form))
    values = {html.unescape(value): html.unescape(label) for value, label in offered.items()}
    assert values[second] == rf"Sales\Twin [{second}] (alphanumeric)"
    for path in FIELDS:
        assert values[path.strip()] == f"{path} (alphanumeric)"
        assert "is mapped to" in good(setup, "mapping/modify", tag="REF", field=path)
        (row,) = [r for r in connections.mappings(floor.office.engine, floor.office.connection.id) if r.tag == "REF"]
        assert row.maximizer_ref == make.database.schema.at(path).ref
    good(setup, "mapping/modify", tag="REF", field=second)
    assert f'value="{second}" selected' in setup.post("/api/setup/mapping").text
    good(setup, "mapping/add", tag=f"group:{title}", field=r"Sales/EU\Choices")
    assert f"group:{title}" in html.unescape(setup.post("/api/setup/mapping").text)
    assert "one" in good(setup, "mapping/options", tag=f"group:{title}")
    assert "no longer mapped" in good(setup, "mapping/remove", tag=f"group:{title}")


def test_r20_r21_only_compatible_fields_are_offered(setup: Visitor) -> None:
    page = setup.post("/api/setup/mapping").text
    for tag, offered, not_offered in (
        ("BIRTHDAY", r"Marketing\Birthday", "LastName"),
        ("REGION", r"Marketing\Region", r"Marketing\Joined"),
        ("group:Customer Type", r"Marketing\Customer Type", r"Marketing\Region"),
    ):
        part = page[page.index(f'data-case="{tag}"') :]
        choices = part[: part.index("</select>")]
        assert f'value="{offered}"' in choices
        assert f'value="{not_offered}"' not in choices
    assert r"MailChimp\MailChimp ID" not in page[: page.index("All Maximizer fields")]


def test_r26_options_side_by_side(setup: Visitor) -> None:
    told = good(setup, "mapping/options", tag="PLAN")
    assert "Plus Plus" in told
    assert "no counterpart Platinum" in told
    told = good(setup, "mapping/options", tag="group:Email Profile")
    assert "Surveys no counterpart" in told
    assert "no counterpart Printed Catalogue" in told
    assert "not mapped" in bad(setup, "mapping/options", tag="REGION")


def test_r44_settings_in_one_place(setup: Visitor, floor: Floor) -> None:
    usual = {"interval": "1h", "buffer_ms": "300", "conflict": "maximizer", "email_change": "new-entry",
             "new_member_status": "subscribed"}  # fmt: skip
    told = good(setup, "configuration")
    assert "three situations" in told
    assert "interval is 30m" in good(setup, "settings", **(usual | {"interval": "30m", "conflict": "mailchimp"}))
    assert floor.office.connection.settings.conflict == "mailchimp"
    assert "0 settled records would be written" in good(setup, "settings", **(usual | {"email_change": "follow"}))
    assert "longer than the sync interval" in bad(
        setup, "settings", **(usual | {"interval": "1m", "buffer_ms": "61000"})
    )
    assert "interval must be at most 31d" in bad(setup, "settings", **(usual | {"interval": "9999999d"}))
    assert "one of maximizer" in bad(setup, "settings", **(usual | {"conflict": "both"}))


def test_checks_are_those_of_the_command_line(setup: Visitor) -> None:
    told = good(setup, "checks")
    for name in ("user-defined fields", "identity", "mappings", "options"):
        assert name in told


# ---------------------------------------------------------------- Runs


def test_history_and_quarantine(setup: Visitor, floor: Floor) -> None:
    office = floor.office
    office.add("Twin", "Reed", "plain@birchmail.test", flag="Yes")
    office.maximizer.edit(floor.keys["plain"], {r"MailChimp\Sync with MailChimp": "Yes"})
    office.sync()
    told = good(setup, "runs")
    assert "Waiting for a person (2)" in told
    number = office.quarantined()[0]["id"]
    assert "Waiting for a person (1)" in good(setup, "runs/release", id=number)
    assert "nothing waits" in bad(setup, "runs/release", id=number)
    assert "Run 1" in good(setup, "runs/one", id=1)
    assert "no run 99" in bad(setup, "runs/one", id=99)


def test_the_page_tells_a_plan_and_a_refusal_from_what_was_written(setup: Visitor, floor: Floor) -> None:
    office = floor.office
    office.add("New", "Reed", "new@birchmail.test", flag="Yes")
    planned = office.plan()
    for row in office.mailchimp.members(office.list_id):
        office.mailchimp.delete_permanently(row["contact_id"])
    with pytest.raises(Blocked):
        office.backfill(yes=False)
    told = good(setup, "runs")
    would = planned["planned"]["mailchimp"]
    assert f"would create {would['create']}, update {would['update']}" in told
    assert "Written to Mailchimp" in told
    refused = told[told.index("blocked") :]
    assert "new," not in refused[: refused.index("shows no members")]
    assert "would create 1, update 0" in good(setup, "runs/one", id=planned["run"])
    # A sum that does not close is told, and no number shown.
    with begin(office.engine) as db:
        facts = dict(db.execute(select(run.c.facts).where(run.c.id == planned["run"])).scalar_one())
        facts["written"]["mailchimp"]["left"] += 1
        db.execute(run.update().where(run.c.id == planned["run"]).values(facts=facts))
    for door, given in (("runs", {}), ("runs/one", {"id": planned["run"]})):
        assert "do not add up" in bad(setup, door, 500, **given)


def test_r30_what_waits_is_shown_and_let_pass(setup: Visitor, floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transform.held.CHANGED_FLOOR", 1)
    office, jobs = floor.office, floor.page.site.jobs
    told = good(setup, "mapping/add", tag="@status", field=r"Marketing\List Status")
    assert "is not known" in told
    assert "maxchimp plan" in told
    said = "@status waits: its changed mapping would write to 3 entries in Maximizer, of 3 linked people"
    jobs.latest = Job("the sync", "ADA", 0.0, result=office.sync(yes=False), running=False)
    assert said in good(setup, "job")
    assert "waits (see Runs)" in good(setup, "mapping")
    shown = good(setup, "runs")
    assert said in shown
    assert "@status waits" in shown
    assert said in good(setup, "runs/one", id=office.last.run_id)
    plan = office.plan()
    jobs.latest = Job("the plan", "ADA", 0.0, result=plan, running=False)
    shown = good(setup, "job")
    assert said in shown
    assert "To do exactly this, what waits included, type SYNC" in shown
    assert office.sync(yes=False, plan=plan["run"])["counts"]["held"] == 0  # what the form asks for
    assert "waits" not in good(setup, "mapping")
    assert "Changed mappings wait" not in good(setup, "runs")


def test_the_newest_report_can_be_taken_along(setup: Visitor, floor: Floor, tmp_path: Path) -> None:
    site = floor.page.site
    site.settings = site.settings.model_copy(update={"home_dir": tmp_path})
    (tmp_path / "outside.html").write_text("secret")
    shelves = {name: tmp_path / "reports" / name for name in ("default/2026-01-02T030405Z", "north/2026-01-02T030406Z",
                                                              "default/2026-01-02T030407Z")}  # fmt: skip
    for shelf in shelves.values():
        shelf.mkdir(parents=True)
    one, other, linked = shelves.values()
    (other / "report.html").write_text("of another connection")
    (linked / "report.html").symlink_to(tmp_path / "outside.html")
    assert "no quality report" in bad(setup, "runs/report")
    (one / "report.html").write_text("<p>one</p>")
    file = setup.post("/api/setup/runs/report").json
    assert file == {"name": f"default {one.name}.html", "text": "<p>one</p>", "type": "text/html"}
    assert one.name in good(setup, "runs")


def test_s8_a_sync_wants_a_typed_word(setup: Visitor) -> None:
    for confirm in ("", "sync", "yes"):
        assert "type SYNC" in bad(setup, "apply", plan=1, confirm=confirm)


def test_s8_dangerous_actions_are_logged(setup: Visitor, floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="maxchimp.web")
    other = floor.office.mailchimp.add_list("Another Letter")
    good(setup, "lists/choose", list_id=other, confirm="CHANGE")
    assert f"tests (login link) changed the list list={other} connection=default" in caplog.text


# ---------------------------------------------------------------- before anything is set up


def test_a_page_before_the_first_set_up(floor: Floor, setup: Visitor) -> None:
    with begin(floor.office.engine) as db:
        connections.remove(db, floor.office.connection.id)
    site = floor.page.site
    site.settings = floor.office.settings = site.settings.model_copy(update={"connection": "second"})
    site.notice(None)
    setup.administrate()
    assert "Connection" in good(setup, "connection")
    assert "Create what is missing" in bad(setup, "configuration")
    told = good(setup, "connection/make")
    assert "selected the list" in told
    assert "Lantern Street Letter" in good(setup, "configuration")


def test_r36_a_second_connection_of_the_same_pair_is_refused(floor: Floor, setup: Visitor) -> None:
    """By the page as by the command line; whoever was made before the first has nothing yet."""
    site = floor.page.site
    site.settings = floor.office.settings = site.settings.model_copy(update={"connection": "second"})
    site.notice(None)
    setup.administrate()
    told = bad(setup, "connection/make", status=409)
    assert "go with the connection &#39;default&#39; already" in told
    assert connections.find(floor.office.engine, "second") is None
    connections.create(floor.office.engine, "second", 1.0)
    site.notice(connections.find(floor.office.engine, "second"))
    setup.administrate()
    other = floor.office.mailchimp.add_list("Harbour Letter")
    for list_id in (floor.office.list_id, other):
        assert "&#39;default&#39;" in bad(setup, "lists/choose", status=409, list_id=list_id)
    found = connections.find(floor.office.engine, "second")
    assert found is not None
    assert (found.list_id, found.address_book) == ("", "")
