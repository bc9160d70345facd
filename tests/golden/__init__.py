"""Expected outputs, byte for byte. ``CA_TEST_UPDATE_GOLDEN=1`` writes them anew; read the difference before committing."""

import os
from pathlib import Path

HERE = Path(__file__).parent
_UPDATE = bool(os.environ.get("CA_TEST_UPDATE_GOLDEN"))


def matches_golden(name: str, text: str) -> bool:
    """Whether the text is that of the file (``cli/insights-80.txt``)."""
    path = HERE / name
    if _UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs:\n{text}"
    return True
