"""Loading the ClickHouse engine without what it brings along and nobody here uses.

``import chdb`` imports pyarrow, 25 MiB of this process, for functions that answer Arrow tables and for annotations of
theirs. Nothing here calls them, so while chdb is imported a stand-in answers those names, and afterwards pyarrow is
there for whoever imports it.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_SPARED = "pyarrow"


def load_engine() -> None:
    """Import ``chdb``; raises ``ImportError`` when it, or what it needs, is not installed."""
    if "chdb" in sys.modules or _SPARED in sys.modules or importlib.util.find_spec(_SPARED) is None:
        importlib.import_module("chdb")
        return
    stand_in = _StandIn(_SPARED)
    sys.modules[_SPARED] = stand_in
    try:
        importlib.import_module("chdb")
    finally:
        stand_in.is_importing = False
        del sys.modules[_SPARED]


class _StandIn(ModuleType):
    """Names of the module mean nothing while chdb is imported; later they are those of the real one."""

    is_importing = True

    def __getattr__(self, name: str) -> Any:
        if self.is_importing and not name.startswith("__"):
            return object
        return getattr(importlib.import_module(self.__name__), name)
