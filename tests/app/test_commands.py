"""Every command in a message is taken as it stands, and works on the connection that the message is about."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from desk import Desk, Told

from app.cli import app
from domain.commands import COMMANDS, WITHOUT, here, released, typed
from domain.errors import Blocked, Misconfigured
from domain.facts import about, known, usual
from domain.quoting import quoted
from sandbox.world import World

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("domain", "clients", "storage", "extract", "transform", "quality", "load", "flows", "app")
# What cannot be known where it is said: a person's choice.
CHOICES = {"LIST_ID", "TITLE", "NAME", "TAG", "FIELD"}
_TREE: Any = typer.main.get_command(app)
_NAMES = "|".join(_TREE.commands)
# A command ends where its sentence goes on; a quoted word may hold anything.
_SAID = re.compile(rf"maxchimp (?:{_NAMES})\b(?: (?:'[^']*'(?:\"'\"'[^']*')*|--?[\w-]+|[\w@.:#/%=<>+-]*[\w%>]))*")

_BARE = re.compile(rf"(?<!maxchimp )(?<![\w/.-])(?:{_NAMES}) (?:--[a-z]|[A-Z]{{2,}}\b)")


def taken(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The command that these words are and what it would be given; an error where the command line refuses them."""
    found, path, rest = _TREE, [], list(words)
    while getattr(found, "commands", None) and rest and rest[0] in found.commands:
        path.append(rest.pop(0))
        found = found.commands[path[-1]]
    if rest == ["--help"]:  # it would be shown
        return " ".join(path), {}
    ctx = found.make_context(" ".join(path), rest, resilient_parsing=False)
    assert not ctx.args, words
    return " ".join(path), dict(ctx.params)


def commands(text: str) -> list[list[str]]:
    """The words of every command in a text. Each is taken as it stands: a sentence goes on behind a mark only."""
    found = [shlex.split(match[0])[1:] for match in _SAID.finditer(text)]
    for words in found:
        taken(words)
    return found


def leaves(group: Any = _TREE, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, found in group.commands.items():
        if not getattr(found, "commands", None) or found.invoke_without_command:
            yield (*path, name)
        if getattr(found, "commands", None):
            yield from leaves(found, (*path, name))


# ---------------------------------------------------------------- what is known of commands


def test_the_table_is_what_the_command_line_has() -> None:
    """A new command is put in the one table or the other: then its connection is named wherever it is said."""
    assert set(COMMANDS) | WITHOUT == set(_TREE.commands)
    for name, group in COMMANDS.items():
        assert set(group) == set(getattr(_TREE.commands[name], "commands", {}))


@pytest.mark.parametrize("path", [p for p in leaves() if p[0] not in WITHOUT], ids=" ".join)
def test_each_command_takes_the_connection_where_it_is_put(path: tuple[str, ...]) -> None:
    usual("default")
    with about(connection="north"):
        said = here(f"see: maxchimp {' '.join(path)}, then go on")
        assert said == f"see: maxchimp {' '.join(path)} --connection north, then go on"
        assert here(said) == said
    found = _TREE
    for name in path:
        found = found.commands[name]
    assert "--connection" in {option for param in found.params for option in param.opts}


def test_only_where_the_command_alone_would_mean_another() -> None:
    text = "maxchimp sync --yes (limits: maxchimp settings show)"
    usual("default")
    assert here(text) == text
    with about(connection="default"):
        assert here(text) == text
    with about(connection="north"):
        usual("north")  # as MAXCHIMP_CONNECTION says
        assert here(text) == text
        usual("default")
        told = "maxchimp sync --connection north --yes (limits: maxchimp settings show --connection north)"
        assert here(text) == told
        assert str(Blocked("guard", "no: maxchimp plan")) == "no: maxchimp plan --connection north"
        assert Misconfigured("no", remedy=text).remedy == told
        assert here("maxchimp syncs, maxchimp connections list, maxchimp setup --connection south") == (
            "maxchimp syncs, maxchimp connections list, maxchimp setup --connection south"
        )
        assert here("set MAXCHIMP_MAXIMIZER_TOKEN or MAXCHIMP_HOME_DIR") == (
            "set MAXCHIMP_NORTH__MAXIMIZER_TOKEN or MAXCHIMP_HOME_DIR"
        )
        assert here(r"choose 'Sales\maxchimp sync'") == r"choose 'Sales\maxchimp sync'"  # somebody's name
        assert released("look, then release it", 3) == (
            "look, then release it (maxchimp quarantine release --connection north 3)"
        )
    with about(connection="default"):
        usual("north")
        assert here("run: maxchimp setup") == "run: maxchimp setup --connection default"
        usual("default")


def test_a_helper_thread_works_for_the_only_connection() -> None:
    usual("default")
    with ThreadPoolExecutor(1) as helper, about(connection="north"), about(run=3):
        assert helper.submit(known).result() == {"connection": "north", "run": 3}
        assert helper.submit(here, "maxchimp plan").result() == "maxchimp plan --connection north"
        with ThreadPoolExecutor(1) as page, ExitStack() as requests:
            page.submit(requests.enter_context, about(connection="north")).result()
            assert helper.submit(known).result() == {"connection": "north", "run": 3}
            page.submit(requests.enter_context, about(connection="south")).result()
            assert set(helper.submit(known).result().values()) == {None}
            page.submit(requests.close).result()
            assert helper.submit(known).result() == {"connection": "north", "run": 3}


def test_a_variable_is_named_once() -> None:
    usual("default")
    with about(connection="mailchimp"):
        told = here("set MAXCHIMP_MAILCHIMP_URL")
        assert told == here(told) == "set MAXCHIMP_MAILCHIMP__MAILCHIMP_URL"


@pytest.mark.parametrize("name", ["plain", r"Sales\A/B", "It's", 'say "so"', 'It\'s "so" $x', "a, b", " out "])
def test_a_name_in_a_sentence_is_exactly_it(name: str) -> None:
    assert shlex.split(quoted(name)) == [name]
    assert shlex.split(typed("map", "add", name, name)) == ["maxchimp", "map", "add", name, name]
    assert "\\\\" not in quoted(name)


# ---------------------------------------------------------------- what stands in the sources


@cache
def spoken() -> dict[str, str]:
    """Every text that the sources say, by place: docstrings are not said, values are ``0``."""
    found: dict[str, str] = {}
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            said = _text(node)
            if said is None or isinstance(parents.get(node), ast.Expr | ast.JoinedStr | ast.FormattedValue):
                continue
            found[f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}:{said[:40]}"] = said
    for path in sorted((ROOT / "app/web/templates").glob("*.html")):
        found[path.name] = path.read_text("utf-8")
    return found


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "typed":
        return "maxchimp " + " ".join(_word(a) for a in node.args if not isinstance(a, ast.Starred))
    return None


def _word(node: ast.AST) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "1"


@cache
def said() -> list[tuple[str, str]]:
    """Without what is no advice; places of values are filled in."""
    texts = {
        place: re.sub(r"\{\w+\}", "1", text.replace("maxchimp serve runs already", ""))
        for place, text in spoken().items()
    }
    return [(place, text) for place, text in texts.items() if re.search(rf"maxchimp (?:{_NAMES})\b", text)]


def test_there_are_many() -> None:
    assert len(said()) > 40


def helps(group: Any = _TREE, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """What --help says of every command and option."""
    for name, found in group.commands.items():
        yield " ".join((*path, name)), str(found.help or "")
        yield from ((" ".join((*path, name)), str(getattr(param, "help", "") or "")) for param in found.params)
        if getattr(found, "commands", None):
            yield from helps(found, (*path, name))


def test_each_command_in_a_help_is_taken() -> None:
    found = [(path, text) for path, text in helps() if "maxchimp " in text]
    assert len(found) > 2
    for _, text in found:
        commands(re.sub(r"\s+", " ", text))
    assert [path for path, text in helps() if _BARE.search(_SAID.sub("", text))] == []


@pytest.mark.parametrize(("place", "text"), said(), ids=[place for place, _ in said()])
def test_each_command_in_the_sources_is_taken(place: str, text: str) -> None:
    for words in commands(text):
        _, given = taken(words)
        capitals = {word for value in given.values() for word in re.findall(r"\b[A-Z][A-Z_]+\b", str(value))}
        assert capitals <= CHOICES | {"JOB", "HOME"}, words


def test_no_text_shows_a_value_as_python_writes_it() -> None:
    """Python doubles backslashes and hides accents: ``quoted`` does not."""
    found = []
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FormattedValue) and node.conversion == ord("r"):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    child = [place for place in found if place.startswith("flows/server.py:")]  # the text of a program
    assert [place for place in found if place not in child] == []


def test_no_command_is_named_without_its_program() -> None:
    """``run: maxchimp sync``, never ``run sync`` or ``sync --yes``."""
    assert [place for place, text in spoken().items() if _BARE.search(_SAID.sub("", text))] == []


# ---------------------------------------------------------------- what is really said


NORTH = ("--connection", "north")


@pytest.fixture
def northern(ready: Desk, north: World) -> Desk:
    """A second connection that was set up beside the usual one; its services are the ones at hand."""
    ready.good("setup", *NORTH)
    ready.world = north
    return ready


def all_named(told: Told | str) -> list[list[str]]:
    """The commands of an answer; each names the connection that it is about, and is taken."""
    text = told if isinstance(told, str) else told.out + told.err
    found = commands(text)
    for words in found:
        path, given = taken(words)
        if path.split()[0] not in WITHOUT:
            assert given["name"] == "north", words
    return found


def test_a_connection_without_a_list(ready: Desk, north: World) -> None:
    north.mailchimp.add_list("Second")
    told = ready("setup", *NORTH)
    assert ["setup", "--connection", "north", "--list", "LIST_ID"] in all_named(told)
    for words in (["sync"], ["plan"], ["check"], ["map", "add", "JOB", "Position"], ["fields"], ["backfill"]):
        answer = ready(*words, *NORTH)
        assert ["setup", "--connection", "north", "--list", "LIST_ID"] in all_named(answer), words
    for words in (["check"], ["map", "add", "JOB", "Position"], ["fields"]):
        document = ready(*words, *NORTH, "--json").json
        assert all_named(json.dumps(document, ensure_ascii=False)), words
    # and the advice works
    assert ready.good("setup", *NORTH, "--list", north.list_id)
    assert next(row["list"] for row in ready.good("connections", "list", "--json").json if row["name"] == "north")
    assert ready.connection().list_id == ready.world.list_id


@pytest.mark.parametrize("words", [["sync"], ["plan"], ["map", "list"], ["check"], ["runs"], ["explain", "x@y.test"]])
def test_a_connection_that_is_not_there(ready: Desk, words: list[str]) -> None:
    assert ["setup", "--connection", "north"] in all_named(ready(*words, *NORTH))


def test_what_a_mapping_says_can_be_done_as_it_stands(northern: Desk) -> None:
    told = northern.bad("map", "add", "FNAME", "Department", *NORTH, code=2)
    (words,) = all_named(told)
    northern.good(*words)
    rows = {row["tag"]: row["field"] for row in northern.good("map", "list", "--json", *NORTH).json}
    assert rows["FNAME"] == "Department"
    rows = {row["tag"]: row["field"] for row in northern.good("map", "list", "--json").json}
    assert rows["FNAME"] == "FirstName"
    (words,) = all_named(northern.bad("map", "modify", "JOB", "Position", *NORTH, code=2))
    northern.good(*words)
    (words,) = all_named(northern.bad("map", "add", "REF", "nowhere", *NORTH, code=2))
    assert words == ["fields", "--connection", "north"]
    assert all_named(northern.bad("map", "add", "REF", "Position", *NORTH, code=2)) == [
        ["map", "list", "--connection", "north"]
    ]
    told = northern.good("map", "add", "REF", "Marketing\\Reference", "--json", *NORTH).json
    for text in (told["next_cycle"]["look"], told["next_cycle"]["says"]):
        assert all_named(text)
    assert all_named(northern.bad("settings", "set", "interval", *NORTH, code=2))
    assert all_named(northern.bad("settings", "set", "interval=1s", *NORTH, code=2))


def test_a_first_sync_a_guard_a_plan_and_a_history(northern: Desk) -> None:
    found = all_named(northern.bad("sync", "--full", *NORTH, code=7))
    assert found == [["plan", "--connection", "north"], ["sync", "--connection", "north", "--full", "--yes"]]
    (words,) = all_named(northern.good("plan", *NORTH))
    assert words[:3] == ["sync", "--connection", "north"]
    northern.good(*words)
    assert northern.good("runs", "--json").json == []
    assert all_named(northern.bad("sync", "--plan", "999", *NORTH, code=2)) == [["runs", "--connection", "north"]]
    assert all_named(northern.bad("runs", "show", "999", *NORTH, code=2)) == [["runs", "--connection", "north"]]
    assert all_named(northern.bad("quarantine", "release", "999", *NORTH, code=2))
    for member in northern.world.mailchimp.members(northern.world.list_id):
        northern.world.mailchimp.edit(member["contact_id"], {"JOB": "Judge", "LNAME": "Changed"})
    northern.good("settings", "set", "max_changed=0%", "max_blanked=0%", "max_absent=0%", *NORTH)
    for member in northern.world.mailchimp.members(northern.world.list_id)[:9]:
        northern.world.mailchimp.archive(member["contact_id"])
    refused = northern("backfill", *NORTH)
    if refused.code == 7:
        assert ["backfill", "--connection", "north", "--yes"] in all_named(refused)
    log = (northern.folder / "data/local/logs/maxchimp.log").read_text("utf-8")
    assert all_named("\n".join(line for line in log.splitlines() if "--connection north" in line))


def test_what_waits_for_a_person(northern: Desk) -> None:
    for number in range(2):
        northern.world.maximizer.add_person("Twin", f"Reed{number}", "twin@lanternpost.test")
    northern.world.mailchimp.subscribe(northern.world.list_id, "twin@lanternpost.test", {"LNAME": "Reed"})
    shown = northern.good("sync", "--yes", *NORTH)
    assert ["quarantine", "list", "--connection", "north"] in all_named(shown)
    listed = northern.good("quarantine", "list", *NORTH)
    (row,) = northern.good("quarantine", "list", "--json", *NORTH).json
    release = ["quarantine", "release", "--connection", "north", str(row["id"])]
    assert release in all_named(listed)
    assert all_named(row["remedy"]) == [release]
    assert release in all_named(northern.good("explain", "twin@lanternpost.test", *NORTH))
    run = str(northern.good("runs", "--json", *NORTH).json[0]["run"])
    assert release in all_named(northern.good("runs", "show", run, *NORTH))
    log = (northern.folder / "data/local/logs/maxchimp.log").read_text("utf-8")
    assert release in commands(log)
    page = Path(northern.good("report", "--json", *NORTH).json["path"]).read_text("utf-8")
    assert all_named(re.sub(r"<[^>]+>", " ", page))
    northern.good(*release)


def test_changing_list_or_address_book_on_purpose(northern: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    other, usual_list = northern.world.mailchimp.add_list("Second"), northern.connection().list_id
    (words,) = all_named(northern.bad("setup", "--list", other, *NORTH, code=2))
    assert words == ["setup", "--connection", "north", "--list", other, "--yes"]
    told = northern.good(*words)
    assert all_named(told)
    assert northern.connection().list_id == usual_list
    (words,) = commands(northern.bad("connections", "remove", "north", code=2).err)
    northern.good(*words)
    assert [row["name"] for row in northern.good("connections", "list", "--json").json] == ["default"]


def test_a_variable_is_that_of_the_connection(northern: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAXCHIMP_MAXIMIZER_WEB_URL", "nonsense")
    northern.good("setup", *NORTH)  # its own one is right
    assert "MAXCHIMP_MAXIMIZER_WEB_URL (the environment) is not" in northern.bad("setup", code=2).err
    monkeypatch.delenv("MAXCHIMP_NORTH__MAXIMIZER_WEB_URL")
    assert "MAXCHIMP_MAXIMIZER_WEB_URL (the environment) is not" in northern.bad("setup", *NORTH, code=2).err
    monkeypatch.setenv("MAXCHIMP_NORTH__MAXIMIZER_WEB_URL", "nonsense")
    assert "MAXCHIMP_NORTH__MAXIMIZER_WEB_URL (the environment) is not" in northern.bad("setup", *NORTH, code=2).err
    for name in ("MAXCHIMP_MAXIMIZER_WEB_URL", "MAXCHIMP_NORTH__MAXIMIZER_WEB_URL"):
        monkeypatch.delenv(name)
    for name in ("MAXCHIMP_MAILCHIMP_API_KEY", "MAXCHIMP_NORTH__MAILCHIMP_API_KEY"):
        monkeypatch.delenv(name)
    assert "MAXCHIMP_NORTH__MAILCHIMP_API_KEY" in northern.bad("sync", *NORTH, code=2).err
    assert "NORTH" not in northern.bad("sync", code=2).err


def test_the_usual_connection_is_not_named(ready: Desk, north: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--connection" not in ready.bad("sync", code=7).err
    monkeypatch.setenv("MAXCHIMP_CONNECTION", "north")
    ready.good("setup")
    assert "--connection" not in ready.bad("sync", code=7).err
    assert ["sync", "--connection", "default", "--yes"] in commands(
        ready.bad("sync", "--connection", "default", code=7).err
    )
