"""All tables, in one MetaData that Alembic compares with.

Sides keep their own identities: a member is ``contact_id`` (survives a change of address), an entry is
``entry_id`` = ``"<Client ID>#<Contact Number>"`` (key strings are not stable, Maximizer fact sheet 4.2).
Times are UTC epoch seconds of our own clock (``..._at``, Float) or text as a service sent it (``last_changed``).
JSON columns hold text that only this project writes.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives row ids to INTEGER primary keys only; PostgreSQL wants eight bytes.
Id = BigInteger().with_variant(Integer, "sqlite")


def _connection_id() -> Column[int]:
    return Column("connection_id", Id, ForeignKey("connection.id"), nullable=False)


_NOT_ENDED = "state <> 'ended'"  # of links
_OPEN = "state IN ('sent', 'ambiguous', 'held')"  # of changes


def _partial(name: str, *columns: str | TextClause, where: str, unique: bool = False) -> Index:
    """An index over some rows, on both databases."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


connection = Table(
    "connection",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("account_id", String(100), nullable=False, server_default=""),
    Column("account_name", Text, nullable=False, server_default=""),
    Column("list_id", String(40), nullable=False, server_default=""),
    Column("list_name", Text, nullable=False, server_default=""),
    Column("address_book", Text, nullable=False, server_default=""),
    Column("dialect", String(20), nullable=False, server_default=""),
    Column("traits", JSON, nullable=False),  # what this Maximizer was seen to do: searches dates, moves dates with UDFs
    Column("flag_ref", String(60), nullable=False, server_default=""),
    Column("marker_ref", String(60), nullable=False, server_default=""),
    Column("settings", JSON, nullable=False),
    Column("mailchimp_cursor", String(40), nullable=False, server_default=""),
    Column("maximizer_cursor", String(40), nullable=False, server_default=""),
    Column("full_reason", Text, nullable=False, server_default="first sync"),  # "" = the next cycle may be incremental
    Column("synced", Boolean, nullable=False, server_default=text("false")),  # a first sync was let through
    Column("fingerprint", String(64), nullable=False, server_default=""),  # of mappings and options, when last synced
    Column("created_at", Float, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),  # scheduled cycles that failed in a row
    Column("told", String(20), nullable=False, server_default=""),  # what people were told last: failed, still-failing
)

field_mapping = Table(
    "field_mapping",
    metadata,
    Column("id", Id, primary_key=True),
    _connection_id(),
    Column("tag", String(200), nullable=False),
    Column("mailchimp_ref", String(100), nullable=False),
    Column("maximizer_ref", String(200), nullable=False),
    Column("field", String(300), nullable=False),
    Column("mailchimp_kind", String(20), nullable=False),
    Column("maximizer_kind", String(20), nullable=False),
    Column("basic_update", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Float, nullable=False),
    Column("changed", Boolean, nullable=False, server_default=text("false")),  # no cycle has taken it in yet (R30)
    Column(
        "held", JSON, nullable=False, server_default="{}"
    ),  # what its writes wait for, {} = not judged: storage.held
    UniqueConstraint("connection_id", "tag"),
)

option_pair = Table(
    "option_pair",
    metadata,
    Column("mapping_id", Id, ForeignKey("field_mapping.id", ondelete="CASCADE"), primary_key=True),
    Column("mailchimp_key", String(255), primary_key=True),
    Column("maximizer_key", String(255), nullable=False),
    Column("met", Boolean, nullable=False, server_default=text("true")),  # a cycle has taken it in (R30): storage.held
    UniqueConstraint("mapping_id", "maximizer_key"),
)

run = Table(
    "run",
    metadata,
    Column("id", Id, primary_key=True),
    _connection_id(),
    Column("kind", String(10), nullable=False),  # sync | backfill | plan | report
    Column("state", String(12), nullable=False),  # running | planned | done | partial | blocked | failed
    Column("full", Boolean, nullable=False),
    Column("reason", Text),
    Column("counts", JSON, nullable=False),
    Column("facts", JSON, nullable=False),  # stage durations, calls per side, cursors read, versions
    Column("started_at", Float, nullable=False),
    Column("finished_at", Float),
    CheckConstraint("kind IN ('sync', 'backfill', 'plan', 'report')", name="kind"),
    CheckConstraint("state IN ('running', 'planned', 'done', 'partial', 'blocked', 'failed')", name="state"),
    Index("ix_run_connection_id_id", "connection_id", "id"),
    Index("ix_run_started_at", "connection_id", "started_at"),
    _partial("ix_run_running", "connection_id", where="state = 'running'"),
    # Full runs are few among many: the last ones are found without walking through all between them.
    _partial("ix_run_whole", "connection_id", "id", where="\"full\" AND state IN ('done', 'partial')"),
)

# Staged rows of one side in one run. ``fields``: JSON object tag -> canonical text, absent = unknown (R29).
# ``found`` is false for a record that a point read showed to be gone.
member_snapshot = Table(
    "member_snapshot",
    metadata,
    Column("run_id", Id, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("contact_id", String(40), primary_key=True),
    Column("found", Boolean, nullable=False),
    Column("email", Text, nullable=False),
    Column("unique_email_id", String(40), nullable=False),
    Column("web_id", String(40), nullable=False),
    Column("status", String(20), nullable=False),
    Column("pair", String(300), nullable=False),  # CLIENTID#CONTACTNO as carried by the member, "" = none
    Column("last_changed", String(40), nullable=False),
    Column("row_hash", BigInteger, nullable=False),
    Column("fields", Text, nullable=False),
    # Serves the question "is this row still the one last settled?" without reading the row.
    Index("ix_member_snapshot_hash", "run_id", "contact_id", "row_hash"),
)

entry_snapshot = Table(
    "entry_snapshot",
    metadata,
    Column("run_id", Id, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("entry_id", String(300), primary_key=True),
    Column("found", Boolean, nullable=False),
    Column("type", String(20), nullable=False),
    Column("email1", Text, nullable=False),
    Column("email2", Text, nullable=False),
    Column("email3", Text, nullable=False),
    Column("flag", String(5), nullable=False),  # Yes | No | "" (unset)
    Column("marker", Text, nullable=False),
    Column("last_changed", String(40), nullable=False),
    Column("row_hash", BigInteger, nullable=False),
    Column("fields", Text, nullable=False),
    # Serves the question "is this row still the one last settled?" without reading the row.
    Index("ix_entry_snapshot_hash", "run_id", "entry_id", "row_hash"),
)

# An accepted pair. ``state``: active | left (the member is gone, R14) | ended.
# The hashes are those of the rows last seen when nothing was left to do for the pair; NULL = unfinished, read it again.
link = Table(
    "link",
    metadata,
    Column("id", Id, primary_key=True),
    _connection_id(),
    Column("contact_id", String(40), nullable=False),
    Column("entry_id", String(300), nullable=False),
    Column("state", String(10), nullable=False),
    Column("email", Text, nullable=False),  # the member's address when last seen
    Column("email1", Text, nullable=False),  # the entry's Email 1 when last seen
    Column("unique_email_id", String(40), nullable=False),
    Column("web_id", String(40), nullable=False),
    Column("status", String(20), nullable=False),  # last status that was not archived
    Column("archived", Boolean, nullable=False, server_default=text("false")),
    Column("flag", String(5), nullable=False),
    Column(
        "flag_ours", Boolean, nullable=False, server_default=text("false")
    ),  # not a person's word: a No set by us (R14), or a Yes still to come (R2)
    Column("member_hash", BigInteger),
    Column("entry_hash", BigInteger),
    Column("reason", Text, nullable=False),  # how it was matched, or why it ended
    Column("created_run", Id, nullable=False),
    Column("created_at", Float, nullable=False),
    CheckConstraint("state IN ('active', 'left', 'ended')", name="state"),
    Index("ix_link_unique_email_id", "connection_id", "unique_email_id"),
    # Serve the questions "who holds this address?", "what was this member linked with?" and "how many are there?".
    _partial("ix_link_email", text("lower(email)"), "connection_id", where=_NOT_ENDED),
    _partial("ix_link_email1", text("lower(email1)"), "connection_id", where=_NOT_ENDED),
    _partial("ix_link_ended", "connection_id", "contact_id", where="state = 'ended'"),
    _partial("ix_link_active", "connection_id", where="state = 'active'"),
    # Serve the question "which pairs moved?" in the order of the snapshots' own indexes, without reading a row.
    _partial("ix_link_member_hash", "connection_id", "contact_id", "member_hash", where=_NOT_ENDED),
    _partial("ix_link_entry_hash", "connection_id", "entry_id", "entry_hash", where=_NOT_ENDED),
    _partial("uq_link_member", "connection_id", "contact_id", where=_NOT_ENDED, unique=True),
    _partial("uq_link_entry", "connection_id", "entry_id", where=_NOT_ENDED, unique=True),
    _partial(
        "ix_link_unfinished", "connection_id", where=f"{_NOT_ENDED} AND (member_hash IS NULL OR entry_hash IS NULL)"
    ),
)

# Per link: JSON objects tag -> the value each side had when last seen; ``notes``: tag -> whose value is ours or
# cannot be delivered (see domain.records.Note).
baseline = Table(
    "baseline",
    metadata,
    Column("link_id", Id, ForeignKey("link.id", ondelete="CASCADE"), primary_key=True),
    Column("mailchimp", Text, nullable=False),
    Column("maximizer", Text, nullable=False),
    Column("notes", Text, nullable=False),
)

# The ChangeSet: plan, write intents and audit log in one (design section 6).
change = Table(
    "change",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, ForeignKey("run.id"), nullable=False),
    _connection_id(),
    Column("side", String(10), nullable=False),
    Column("op", String(10), nullable=False),  # create | update | rename | revive
    Column("target", String(400), nullable=False),  # contact_id, entry_id, or "new:<key of the other side's record>"
    Column("link_id", Id),
    Column("contact_id", String(40), nullable=False),
    Column("entry_id", String(300), nullable=False),
    Column("marker", String(29), nullable=False),
    Column("fields", Text, nullable=False),  # JSON list of {field, old, new, rule}
    Column("rule", String(20), nullable=False),
    Column("state", String(10), nullable=False),
    Column("outcome", Text, nullable=False),  # code of a refusal, id of what was made
    Column("attempt", Integer, nullable=False),
    Column("lease_token", BigInteger, nullable=False),
    Column("sent_at", Float),
    Column("finished_at", Float),
    CheckConstraint("side IN ('mailchimp', 'maximizer')", name="side"),
    CheckConstraint("op IN ('create', 'update', 'rename', 'revive')", name="op"),
    CheckConstraint("length(marker) <= 29", name="marker"),
    CheckConstraint(
        "state IN ('planned', 'sent', 'done', 'refused', 'ambiguous', 'skipped', 'discarded', 'held')", name="state"
    ),
    UniqueConstraint("run_id", "side", "target"),
    # An index that begins with the connection would be taken for the partial ones: SQLite does not know which is small.
    Index("ix_change_target", "target", "side", "connection_id"),
    _partial("ix_change_closed", "connection_id", "run_id", where="state NOT IN ('sent', 'ambiguous', 'held')"),
    _partial("uq_change_open", "connection_id", "side", "target", where=_OPEN, unique=True),
    _partial("ix_change_planned", "connection_id", "run_id", where="state = 'planned'"),
)

# Writes that failed; how often a record did decides when it waits for a person (R51).
attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("change_id", Id, ForeignKey("change.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("outcome", String(20), nullable=False),  # no bodies
    Column("status", Integer, nullable=False),
)

# What waits for a person and blocks nothing else (R51). ``key``: contact_id or entry_id of the record.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Id, primary_key=True),
    _connection_id(),
    Column("side", String(10), nullable=False),
    Column("key", String(300), nullable=False),
    Column("field", String(200), nullable=False, server_default=""),
    Column("reason", Text, nullable=False),
    Column("rule", String(20), nullable=False),
    Column("remedy", Text, nullable=False, server_default=""),
    Column("evidence", JSON, nullable=False),
    Column("member_hash", BigInteger),  # of the rows that were refused: retried when either changes
    Column("entry_hash", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("state", String(10), nullable=False),  # open | released | resolved
    Column("since_run", Id, nullable=False),
    Column("since_at", Float, nullable=False),
    CheckConstraint("state IN ('open', 'released', 'resolved')", name="state"),
    Index("ix_quarantine_key", "connection_id", "side", "key"),
    Index("ix_quarantine_since_run", "connection_id", "since_run"),
    _partial("ix_quarantine_waiting", "connection_id", "state", where="state <> 'resolved'"),
    _partial("ix_quarantine_resolved", "connection_id", "since_at", where="state = 'resolved'"),
)

# Values that one side cannot hold, differences that are protected, conflicts: one row per link, field and kind (R28).
finding = Table(
    "finding",
    metadata,
    Column("connection_id", Id, ForeignKey("connection.id"), primary_key=True),
    Column("kind", String(20), primary_key=True),  # withheld | protected | conflict | email23 | no-email | unmapped
    Column("key", String(340), primary_key=True),  # "link:<id>", "member:<contact_id>" or "entry:<entry_id>"
    Column("field", String(200), primary_key=True),
    Column("value", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("run_id", Id, nullable=False),
    Index("ix_finding_key", "connection_id", "key"),
    Index("ix_finding_run_id", "connection_id", "run_id"),
)

suppression = Table(
    "suppression",
    metadata,
    Column("connection_id", Id, ForeignKey("connection.id"), primary_key=True),
    Column("email_hmac", String(64), primary_key=True),
    Column("reason", String(20), nullable=False),  # forgotten | erased
    Column("since_at", Float, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("connection_id", Id, ForeignKey("connection.id"), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

# What a connection has for itself: one list and one Address Book (R5, R36). Whoever took a key first keeps it.
claim = Table(
    "claim",
    metadata,
    Column("kind", String(10), primary_key=True),  # list | book
    Column("key", Text, primary_key=True),  # as in storage.claims
    Column("connection_id", Id, ForeignKey("connection.id"), nullable=False, index=True),
    Column("since_at", Float, nullable=False),
    CheckConstraint("kind IN ('list', 'book')", name="kind"),
)

# What was typed into the set-up page, encrypted with a key that is not in this database (hazard S20). ``hint``: the
# last characters, so that a person recognises it.
credential = Table(
    "credential",
    metadata,
    Column("connection_name", String(100), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    Column("hint", String(8), nullable=False),
    Column("changed_at", Float, nullable=False),
)

# One-time codes that were used, until they would have run out anyway: every web process of a deployment sees them.
spent_code = Table(
    "spent_code",
    metadata,
    Column("code_id", String(64), primary_key=True),
    Column("expires_at", Float, nullable=False),
)

# Keys that are ours alone, such as the one under which suppressed addresses are hashed.
secret = Table(
    "secret",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("value", Text, nullable=False),
)
