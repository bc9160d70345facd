"""The reference pages and the man pages, made of the program itself.

``make reference`` writes them anew; a test holds what is kept in the repository against what the program would give.
"""

from pathlib import Path

from tests.reference import codes, configuration, manual, markdown, metrics

REPOSITORY = Path(__file__).parents[2]
DOCS = Path("docs/reference")
MAN = Path("man")


def files() -> dict[Path, str]:
    """Every generated file by its place in the repository."""
    return {
        DOCS / "cli.md": markdown.page(),
        DOCS / "configuration.md": configuration.page(),
        DOCS / "errors.md": codes.page(),
        DOCS / "metrics.md": metrics.page(),
        **{MAN / name: text for name, text in manual.pages().items()},
    }


def outdated() -> list[str]:
    """What has to be written anew, and what is left over in ``man/``."""
    made = files()
    differing = [
        str(path)
        for path, text in made.items()
        if not (REPOSITORY / path).is_file() or (REPOSITORY / path).read_text(encoding="utf-8") != text
    ]
    kept = {MAN / path.name for path in (REPOSITORY / MAN).glob("*")}
    return sorted([*differing, *(str(path) for path in kept - made.keys())])


def write() -> None:
    """Write all of them, and remove what is left over."""
    made = files()
    (REPOSITORY / MAN).mkdir(exist_ok=True)
    for path in (REPOSITORY / MAN).glob("*"):
        if MAN / path.name not in made:
            path.unlink()
    for path, text in made.items():
        (REPOSITORY / path).write_text(text, encoding="utf-8")
