"""Tell the story: one cycle from lease to release, and its Prefect flows and deployments.

Prefect is imported in ``flows.sync`` only. The same stage functions run with and without it.
"""
