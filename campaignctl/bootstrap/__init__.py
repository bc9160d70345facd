"""The one place that chooses: which adapter stands behind each port, and what every service is built from.

Entry points call ``open_app`` and hand the ``App`` down; tests call it with a directory of their own. Every store is
embedded until a server is named for it. Whoever opens an embedded store holds the data directory's lock.
"""

from campaignctl.bootstrap.app import App
from campaignctl.bootstrap.opening import SCHEMA_WAIT_S, open_app, open_stores

__all__ = ["SCHEMA_WAIT_S", "App", "open_app", "open_stores"]
