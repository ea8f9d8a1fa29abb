"""The pages in a real browser, against both sandbox services over real HTTP: every view and dialog, the frame, axe.

Screenshots are kept in ``tests/artifacts`` (git ignores it). Skipped, with the reason, where there is no Chromium.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE as HOSTILE_STRINGS
from town import Town

from app.web import tab
from app.web.server import Page, login_link, serving
from clients.mailchimp import Mailchimp
from flows import launch
from flows.asked import Asked
from flows.cycle import Cycle
from flows.launch import opened
from flows.settings import Settings
from sandbox.web import Door, Request, Response, serve
from storage import connections

pytestmark = [pytest.mark.xdist_group("browser")]
ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Of our own templates.
ELEMENTS = {"a", "br", "button", "circle", "dd", "div", "dl", "dt", "h1", "h2", "i", "line", "p", "section", "span",
            "strong", "svg", "table", "tbody", "td", "text", "th", "thead", "time", "tr"}  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>"


@dataclass
class Stage:
    """A town with people, its page, and a browser. ``said``: what consoles and dialogs told.

    ``north``: services of another connection in the same store.
    """

    town: Town
    north: Town
    page: Page
    browser: Any
    said: list[str] = field(default_factory=list)

    def window(self, width: int = 1200, **more: Any) -> Any:
        made = self.browser.new_context(viewport={"width": width, "height": 900}, **more).new_page()
        made.set_default_timeout(60_000)
        made.on("dialog", lambda dialog: (self.said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        made.on("pageerror", lambda error: self.said.append(f"error {error}"))
        made.on("console", lambda told: self.said.append(f"console {told.text}") if told.type == "error" else None)
        return made

    def crm(self, user: str, pair: int, tab: str = "/tab", town: Town | None = None) -> str:
        """The address of Web Access with an entry selected and the tab in its frame."""
        town = town or self.town
        key = town.world.pairs[pair][1]
        return town.servers[1].url + town.maximizer.show_tab(user, key, f"{self.page.url}{tab}")


def settings_of(towns: dict[str, Town], name: str) -> Settings:
    """Every connection has services of its own; a name that nobody uses goes with the first one's."""
    town = towns.get(name, towns["default"])
    return town.settings.model_copy(update={"connection": name, "administrators": "ADA"})


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the pages were not looked at in a browser")
    from playwright.sync_api import sync_playwright

    ARTIFACTS.mkdir(exist_ok=True)
    patch = pytest.MonkeyPatch()
    patch.setattr(launch, "Cycle", partial(Cycle, judge=False))  # the checks' library takes seconds to start
    patch.delenv("PREFECT_API_URL", raising=False)
    folder = Path(tempfile.mkdtemp(prefix="maxchimp-"))
    town = Town(folder, people=24).setup()
    with opened("default", Asked(yes=True), town.settings) as cycle:
        cycle.tell()
    town.later()
    north = Town(folder, people=24, name="north", seed=9)
    for user in ("ADA", "BOB"):
        town.maximizer.add_viewer(user, f"password-{user}")
        north.maximizer.add_viewer(user, f"password-{user}")
    load = partial(settings_of, {"default": town, "north": north})
    with (
        serving(load("default"), engine=town.engine, load=load) as page,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = Stage(town, north, page, browser)
        yield made
        browser.close()
    town.close()
    north.close()
    shutil.rmtree(folder)
    patch.undo()


@pytest.fixture(autouse=True)
def nothing_was_said(stage: Stage) -> Iterator[None]:
    """No dialog, no error of a script, no request that the page's policy refused."""
    stage.said.clear()
    yield
    assert [told for told in stage.said if "favicon" not in told and "404" not in told] == []


def axe(where: Any) -> list[str]:
    """What axe finds serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(where).response["violations"]
    return [
        f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def shot(where: Any, name: str) -> None:
    where.screenshot(path=str(ARTIFACTS / f"{name}.png"), full_page=True)


def fits(where: Any) -> bool:
    """Whether nothing must be scrolled sideways."""
    return bool(where.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize(("width", "scheme"), [(1600, "light"), (900, "dark"), (400, "light")])
def test_the_tab_in_the_frame_of_the_crm(stage: Stage, width: int, scheme: str) -> None:
    window = stage.window(width, color_scheme=scheme)
    window.goto(stage.crm("ADA", 0))
    frame = window.frame_locator("iframe")
    frame.get_by_role("heading", name="Campaign activity").wait_for()
    assert frame.get_by_text("Subscription").count()
    assert frame.get_by_role("link", name="View details in MailChimp").get_attribute("rel") == "noopener noreferrer"
    inner = window.frames[1]
    assert inner.url == f"{stage.page.url}/tab"  # what was handed over is no longer in the address
    assert inner.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    assert fits(inner)
    shot(window, f"frame-{width}-{scheme}")
    window.context.close()


def test_another_site_cannot_frame_it(stage: Stage) -> None:
    class Evil:
        name = "evil"

        def operation(self, request: Request) -> str:
            return "page"

        def writes(self, request: Request) -> bool:
            return False

        def failure(self, kind: str, request: Request) -> Response | None:
            return None

        def state(self) -> dict[str, Any]:
            return {}

        def handle(self, request: Request) -> Response:
            page = f'<!doctype html><title>x</title><iframe src="{stage.page.url}/tab#code=x"></iframe>'
            return Response(200, page.encode(), {"Content-Type": "text/html"})

    with serve(Door(Evil())) as evil:
        window = stage.window()
        window.goto(evil.url)
        for _ in range(300):
            if any("frame-ancestors" in told for told in stage.said):
                break
            window.wait_for_timeout(100)
        assert not window.frames[1].url.startswith(stage.page.url)
        assert any("frame-ancestors" in told for told in stage.said)
        window.context.close()
    stage.said.clear()


def test_the_tab_alone_and_what_stands_behind_its_buttons(stage: Stage) -> None:
    window = stage.window(1000)
    window.goto(handed(stage, "ADA", 0))
    window.get_by_role("heading", name="Groups").wait_for()
    assert axe(window) == []
    window.get_by_role("button", name="Field by field").click()
    window.get_by_role("heading", name="What the next run would do").wait_for()
    assert axe(window) == []
    shot(window, "tab-fields")
    window.get_by_role("button", name="Maximizer Connect Setup").click()
    window.get_by_role("heading", name="Connection", exact=True).wait_for()
    window.get_by_role("button", name="Back to the entry").click()
    window.get_by_role("heading", name="Campaign activity").wait_for()
    window.context.close()


def handed(stage: Stage, user: str, pair: int) -> str:
    """The address that Web Access gives to the frame."""
    stage.crm(user, pair)
    return str(stage.town.maximizer._api._frames[-1])


def test_the_tab_in_the_dark_on_a_small_screen(stage: Stage) -> None:
    for number, (width, scheme) in enumerate([(400, "light"), (400, "dark"), (1600, "dark")]):
        window = stage.window(width, color_scheme=scheme)
        window.goto(handed(stage, "ADA", number))
        window.get_by_role("heading", name="Campaign activity").wait_for()
        assert fits(window)
        assert axe(window) == []
        shot(window, f"tab-{width}-{scheme}")
        window.context.close()


def test_somebody_without_a_token_signs_in(stage: Stage) -> None:
    window = stage.window(700)
    window.goto(handed(stage, "BOB", 1).partition("&IdentityToken")[0])
    window.get_by_label("Maximizer user").fill("BOB")
    window.get_by_label("Password").fill("wrong")
    assert axe(window) == []
    shot(window, "sign-in")
    window.get_by_role("button", name="Sign in").click()
    window.get_by_role("alert").wait_for()
    stage.said.clear()  # the browser tells of the 401
    window.get_by_label("Maximizer user").fill("BOB")
    window.get_by_label("Password").fill("password-BOB")
    window.get_by_role("button", name="Sign in").click()
    window.get_by_role("heading", name="Subscription").wait_for()
    assert window.get_by_role("button", name="Maximizer Connect Setup").count() == 0
    window.context.close()


def test_a_login_link_works_once(stage: Stage) -> None:
    link = stage.page.login_link()
    for good in (True, False):
        window = stage.window()
        window.goto(link)
        # The page that still loads has the heading MailChimp as well: what tells the two apart is waited for.
        shown = window.get_by_role("heading", name="Connection", exact=True) if good else window.get_by_role("alert")
        shown.wait_for()
        assert window.get_by_role("alert").count() == (0 if good else 1)
        assert window.url == f"{stage.page.url}/default/setup"
        window.context.close()
    stage.said.clear()  # the browser tells of the 401


def entered(stage: Stage, page: str, width: int = 1300, **more: Any) -> Any:
    """Set-up, on one of its pages."""
    window = stage.window(width, **more)
    window.goto(stage.page.login_link())
    window.get_by_role("heading", name="Connection", exact=True).wait_for()
    window.get_by_role("button", name=page, exact=True).click()
    window.get_by_role("heading", name=page, exact=True).wait_for()
    return window


def test_connection(stage: Stage) -> None:
    window = entered(stage, "Connection")
    window.get_by_role("button", name="Try the key").click()
    window.get_by_text("Escona Invented Ltd.").first.wait_for()
    window.get_by_role("button", name="Try to sign in").click()
    window.get_by_text("Signed in.").first.wait_for()
    window.get_by_role("button", name="Create what is missing").click()
    window.get_by_text("Everything was there already.").first.wait_for()
    window.get_by_role("button", name="How to make the fields by hand").click()
    window.get_by_text("Make the folder MailChimp.").wait_for()
    with window.expect_download() as download:
        window.get_by_role("button", name="Download the MXI file").click()
    assert download.value.suggested_filename == "mailchimp-id.mxi"
    window.get_by_role("button", name="Check now").click()
    window.get_by_text("every mandatory field is mapped").wait_for()
    assert axe(window) == []
    assert fits(window)
    shot(window, "setup-connection")
    window.context.close()


def test_configuration(stage: Stage) -> None:
    window = entered(stage, "Configuration")
    window.get_by_role("button", name="Configure field mappings").click()
    row = window.get_by_role("row", name="Plan")
    row.get_by_text("Change").click()
    row.get_by_role("button", name="Options side by side").click()
    window.get_by_role("table", name="Options of Plan").wait_for()
    assert window.get_by_text("no counterpart").count()
    assert axe(window) == []
    shot(window, "setup-mapping")
    window.get_by_label("Mailchimp field").select_option(label="Member rating (source number)")
    window.locator("form.row label:visible select[name=field]").select_option(index=0)
    window.get_by_role("button", name="Add", exact=True).click()
    window.get_by_text("the next sync is a full one").first.wait_for()
    row = window.get_by_role("row", name="Member rating")
    row.get_by_text("Change").click()
    row.get_by_role("button", name="Remove").click()
    window.get_by_text("is no longer mapped").first.wait_for()
    window.get_by_role("button", name="Select a Sync List").click()
    window.get_by_text("Changing the list loses all field mappings").wait_for()
    window.get_by_label("Frequency").fill("1s")
    window.get_by_role("button", name="Save", exact=True).last.click()
    window.get_by_text("interval must be at least 1m").first.wait_for()
    stage.said.clear()  # the browser tells of the 422
    window.get_by_label("Frequency").fill("30m")
    window.get_by_role("button", name="Save", exact=True).last.click()
    window.get_by_text("interval is 30m").first.wait_for()
    window.context.close()


def test_another_list(stage: Stage) -> None:
    """The dialog refuses without the typed word; the list is not changed here, for the other tests need it."""
    stage.town.mailchimp.add_list("Second Letter")
    window = entered(stage, "Configuration", 400)
    window.get_by_role("button", name="Select a Sync List").click()
    window.get_by_label("Second Letter").check()
    window.get_by_label("To change it").fill("yes")
    assert fits(window)
    assert axe(window) == []
    window.get_by_role("button", name="OK", exact=True).click()
    window.get_by_role("alert").wait_for()
    shot(window, "setup-list-400")
    stage.said.clear()  # the browser tells of the 422
    window.context.close()


def test_runs_and_sync_entire_list(stage: Stage) -> None:
    stage.town.add(2)
    window = entered(stage, "Configuration")
    window.get_by_role("button", name="Show the plan").click()
    window.get_by_role("heading", name="Plan ").wait_for()
    window.get_by_text("Every change").click()
    assert axe(window) == []
    shot(window, "setup-plan")
    members = stage.town.members()
    window.get_by_label("To do exactly this").fill("SYNC")
    window.get_by_role("button", name="Sync Entire List").click()
    window.get_by_text("is done.").first.wait_for()
    assert stage.town.members() == members + 2
    window.get_by_role("button", name="Runs", exact=True).click()
    window.get_by_role("heading", name="History").wait_for()
    window.get_by_role("button", name="details").last.click()
    window.get_by_role("heading", name="Run 1").wait_for()
    assert axe(window) == []
    shot(window, "setup-runs")
    window.set_viewport_size({"width": 400, "height": 900})
    assert fits(window)
    shot(window, "setup-runs-400")
    window.context.close()


def test_two_connections(stage: Stage) -> None:
    """From the list of all to the set-up and the tab of another one, which starts with nothing."""
    stage.north.mailchimp.add_list("North Letter")
    connections.create(stage.town.engine, "north", stage.page.site.now())
    window = entered(stage, "All connections", 1000)
    window.get_by_role("row", name="north").get_by_text("to be set up").wait_for()
    assert window.get_by_role("row", name="default").get_by_text("this one").count() == 1
    assert axe(window) == []
    for width in (1000, 400):
        window.set_viewport_size({"width": width, "height": 900})
        assert fits(window)
        shot(window, f"connections-{width}")
    with window.context.expect_page() as opening:
        window.get_by_role("link", name="north").click()
    other = opening.value
    # A link lets nobody in.
    other.get_by_text(re.compile(r"maxchimp web --connection north --link --port \d+")).wait_for()
    assert other.evaluate("window.opener") is None
    window.context.close()
    _set_up_north(stage)
    for width in (1000, 400):
        window = stage.window(width)
        window.goto(stage.crm("ADA", 0, "/north/tab", stage.north))
        frame = window.frame_locator("iframe")
        frame.get_by_text("No member of North Letter has this address.").wait_for()
        frame.get_by_text("nothing schedules runs here").wait_for()
        assert fits(window.frames[1])
        shot(window, f"north-tab-{width}")
        window.context.close()


def _set_up_north(stage: Stage) -> None:
    window = stage.window(1000)
    window.goto(login_link(stage.town.engine, stage.north.settings, stage.page.url))
    window.get_by_role("heading", name="Connection", exact=True).wait_for()
    assert window.locator("#named").inner_text() == "north"
    window.get_by_role("button", name="Create what is missing").click()
    window.get_by_text("Still to do", exact=True).wait_for()
    window.get_by_role("button", name="Configuration", exact=True).click()
    window.get_by_role("button", name="Select a Sync List").click()
    window.get_by_label("North Letter").check()
    window.get_by_role("button", name="OK", exact=True).click()
    window.get_by_text("List selected").wait_for()
    window.get_by_role("button", name="Connection", exact=True).click()
    window.get_by_role("heading", name="Connection", exact=True).wait_for()
    for width in (1000, 400):
        window.set_viewport_size({"width": width, "height": 900})
        assert fits(window)
        shot(window, f"north-setup-{width}")
    assert axe(window) == []
    window.context.close()


def test_hostile_people(stage: Stage) -> None:
    """What anybody may type into a sign-up form stays text: no dialog, no element, no request."""
    contact_id, key = stage.town.world.pairs[3]
    member = stage.town.mailchimp.member(contact_id)
    stage.town.mailchimp.edit(contact_id, {"FNAME": HOSTILE, "LNAME": HOSTILE, "JOB": HOSTILE, "REF": HOSTILE[:30]})
    stage.town.maximizer.edit(key, {"FirstName": HOSTILE, "LastName": HOSTILE})
    stage.town.mailchimp.unsubscribe(contact_id, reason=HOSTILE)
    window = stage.window()
    window.goto(handed(stage, "ADA", 3))
    window.get_by_role("heading", name="Campaign activity").wait_for()
    window.get_by_role("button", name="Field by field").click()
    window.get_by_role("heading", name="Field by field").wait_for()
    assert window.locator("h1").inner_text().startswith("<img src=x")
    assert window.locator("img, main script, iframe, [onerror], a[href^='javascript']").count() == 0
    assert member["email_address"] in window.locator("main").inner_text()
    shot(window, "hostile")
    window.context.close()
    stage.town.mailchimp.resubscribe(contact_id)


def test_more_than_two_hundred_hostile_strings(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As titles and links of campaigns, all on one page: every one is there as it was written, and none is more."""
    rows = [
        {"activity_type": kind, "created_at_timestamp": f"2026-0{n % 9 + 1}-01T09:00:00+00:00", "campaign_id": f"c{n}",
         "campaign_title": text, "link_clicked": text}
        for n, text in enumerate(HOSTILE_STRINGS)
        for kind in ("sent", "click")
    ]  # fmt: skip
    monkeypatch.setattr(Mailchimp, "activity", lambda self, *given: rows)
    monkeypatch.setattr(tab, "PAGE", 1000)
    window = stage.window()
    window.goto(handed(stage, "ADA", 0))
    window.get_by_role("heading", name="Campaign activity").wait_for()
    assert window.locator("main tbody tr").count() == len(HOSTILE_STRINGS) >= 200
    kinds = window.evaluate(
        "[...new Set([...document.querySelectorAll('main *')].map((e) => e.tagName.toLowerCase()))]"
    )
    assert set(kinds) <= ELEMENTS
    links = window.evaluate("[...document.querySelectorAll('main a')].map((e) => e.href)")
    assert all(link.startswith("https://us6.admin.mailchimp.com/lists/members/view?id=") for link in links)
    handlers = (
        "[...document.querySelectorAll('main *')].some((e) => e.getAttributeNames().some((n) => n.startsWith('on')))"
    )
    assert not window.evaluate(handlers)
    window.context.close()


def test_the_keyboard_is_enough(stage: Stage) -> None:
    window = stage.window()
    window.goto(stage.page.login_link())
    window.get_by_role("heading", name="Connection", exact=True).wait_for()
    assert window.evaluate("document.activeElement.textContent") == "Connection"  # told to a screen reader
    window.keyboard.press("Tab")
    assert window.evaluate("document.activeElement.name || document.activeElement.textContent") != ""
    for _ in range(60):
        if window.evaluate("document.activeElement.textContent").strip() == "Check now":
            break
        window.keyboard.press("Tab")
    window.keyboard.press("Enter")
    window.get_by_text("every mandatory field is mapped").wait_for()
    window.context.close()
