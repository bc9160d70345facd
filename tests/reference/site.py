"""What the site generator is told beside ``mkdocs.yml``: the REST API's document, and files that pages link to.

Pages link to files outside of ``docs/`` as they lie in the repository, which is what readers of the repository need. On
the site such a file comes along below ``repository/``, and the link points there.
"""

import re
import tempfile
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from campaignctl.bootstrap import open_app
from campaignctl.config import Settings
from server.app import create_app

_OUTSIDE = re.compile(r"\]\((?:\.\./)+((?:deploy|examples|completions)/[^)#\s]+)")
_KEPT = "repository"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add ``reference/openapi.json`` as the API answers it, and the linked files."""
    files.append(File.generated(config, "reference/openapi.json", content=openapi()))
    repository = Path(config.config_file_path).parent
    linked = {found for page in files.documentation_pages() for found in _OUTSIDE.findall(page.content_string)}
    for path in sorted(linked):
        # A page of another folder is kept as text: its own links are the repository's.
        files.append(File.generated(config, f"{_KEPT}/{_as_text(path)}", content=(repository / path).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links that leave ``docs/`` to where the files are on the site."""
    up = "../" * (len(PurePosixPath(page.file.src_uri).parts) - 1)
    return _OUTSIDE.sub(lambda found: f"]({up}{_KEPT}/{_as_text(found[1])}", markdown)


def openapi() -> bytes:
    """The document that a running API answers at ``/openapi.json``."""
    import json

    with tempfile.TemporaryDirectory() as directory, open_app(Settings(data_dir=Path(directory)), create=True) as app:
        return json.dumps(create_app(app).openapi()).encode()


def _as_text(path: str) -> str:
    return f"{path}.txt" if path.endswith(".md") else path
