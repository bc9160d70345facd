"""Events: bytes to checked columns, by the rules that producers are promised.

``decode_events`` and ``decode_columns`` read records; ``fingerprints`` tells a copy from a conflict. Inside, ``record``
is the exact reading of one record (with the rules of ``fields``), and ``columns`` a fast one for many, which leaves to
it whatever is not spelled as usual.
"""

from campaignctl.domain.events.decode import decode_columns, decode_events
from campaignctl.domain.events.fingerprint import fingerprints
from campaignctl.domain.events.model import EventColumns, EventLimits, EventRow, Reject, RejectReason

__all__ = [
    "EventColumns",
    "EventLimits",
    "EventRow",
    "Reject",
    "RejectReason",
    "decode_columns",
    "decode_events",
    "fingerprints",
]
