"""The one place where errors become a sentence, what to do, and an exit code; no traceback ever leaves it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import typer

from app import show
from domain.errors import DISK_FULL, Blocked, MaxchimpError, Misconfigured, is_full
from flows import logs

COMPLETE, INCOMPLETE, CONFIGURATION, REFUSED = 0, 1, 2, 7

log = logging.getLogger("maxchimp.app")


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Wrong usage is told here, everything else where the command runs."""
    logs.silence()
    try:
        if refused := _unreadable(arguments):
            return _tell(refused, "give a value, or leave it out", CONFIGURATION, "--json" in arguments)
        code = app(list(arguments), standalone_mode=False, prog_name="maxchimp")
        return _INTERRUPTED.get(code, code) if isinstance(code, int) else COMPLETE
    except typer.Abort:
        return _tell("stopped", "nothing was started", INCOMPLETE, "--json" in arguments)
    except typer.TyperException as error:
        ctx = getattr(error, "ctx", None)
        path = ctx.command_path if ctx is not None else "maxchimp"
        # Without arguments a group shows its help, which is the whole message.
        text = error.format_message().strip().rstrip(".")
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message(), file=sys.stderr)
            return CONFIGURATION
        return _tell(text, f"see: {path} --help", CONFIGURATION, "--json" in arguments)
    finally:
        logs.close()


def _unreadable(arguments: Sequence[str]) -> str:
    """What is wrong with a word of the command line: a script's variable that was empty, or bytes that are no text."""
    before = "maxchimp"
    for whole in arguments:
        option, equals, value = whole.partition("=")
        word, owner = (value, option) if whole.startswith("--") and equals else (whole, before)
        before = whole
        what = f"the value of {owner}" if owner.startswith("--") else f"the word after {owner}"
        if not word.strip():
            return f"{what} is empty"
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            return f"{what} is no text in UTF-8"
    return ""


def guarded(body: Callable[[], int | None], *, as_json: bool) -> int:
    """The exit code of a command's body, after every error that it raises was told."""
    try:
        return body() or COMPLETE
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.Abort:
        return _tell("stopped: nothing was answered", "start it again, with --yes if it may go on", INCOMPLETE, as_json)
    except KeyboardInterrupt as error:
        log.warning("stopped by a person or the system")
        return _tell("stopped on request; nothing is lost, the next cycle goes on", "", INCOMPLETE, as_json, error)
    except BrokenPipeError:
        # The reader of our output went away: nothing to tell, and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCOMPLETE
    except MaxchimpError as error:
        facts = {"error": type(error).__name__, "remedy": error.remedy}
        log.error("%s (%s)", error.message, error.remedy or type(error).__name__, extra={"facts": facts})
        return _tell(error.message, error.remedy, exit_code(error), as_json, error)
    except typer.TyperException:
        raise
    except Exception as error:
        log.critical("unexpected %s", type(error).__name__, exc_info=error)
        return _tell(*_unexpected(error), as_json, error)


def written(code: int) -> int:
    """The exit code, after all of the output has left: a full disk is told here, not by the interpreter's end."""
    try:
        sys.stdout.flush()
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not code and not isinstance(problem, BrokenPipeError):
            told = DISK_FULL if is_full(problem) else problem.strerror
            print(f"maxchimp: the output cannot be written: {told}", file=sys.stderr)
        return code or INCOMPLETE
    return code


def exit_code(error: BaseException) -> int:
    """What the contract says of this kind of error."""
    if isinstance(error, Blocked):
        return REFUSED
    return CONFIGURATION if isinstance(error, Misconfigured) else INCOMPLETE


def _unexpected(error: Exception) -> tuple[str, str, int]:
    if isinstance(error, OSError) and error.strerror:
        # Our own files: the services' failures have words of their own.
        where = f"{error.filename}: " if error.filename else ""
        if is_full(error):
            return f"{where}{DISK_FULL}", "free some space; nothing is lost, the next cycle goes on", INCOMPLETE
        return f"{where}{error.strerror}", "check the folder, its rights and the free space", CONFIGURATION
    written = logs.path()
    remedy = f"details are in {written}; please report them" if written else "start again with --verbose"
    return f"unexpected error ({type(error).__name__})", remedy, INCOMPLETE


def _tell(message: str, remedy: str, code: int, as_json: bool, error: BaseException | None = None) -> int:
    """The sentence and the remedy on stderr; with ``--json`` one document on stdout (a run's, if one was opened)."""
    print(show.clean(f"maxchimp: {message}"), file=sys.stderr)
    if remedy:
        print(show.clean(f"  {remedy}"), file=sys.stderr)
    if as_json:
        document: Any = getattr(error, "result", None) or {"error": message, "remedy": remedy, "exit": code}
        with suppress(OSError):  # an output that cannot be written is what is told here
            show.document(document)
    return code


# What the command line library answers to Ctrl-C outside a command's body.
_INTERRUPTED = {130: INCOMPLETE}
