"""What we remember: tables, snapshots, links and baselines, the journal of changes, connections, leases.

Imports ``domain`` only. SQLAlchemy Core on SQLite and PostgreSQL; no transaction is held across a network call.
"""
