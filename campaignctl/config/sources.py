"""Where settings come from: the configuration file, the environment and flags, merged and checked.

Kept apart from ``campaignctl.config.settings`` so that the list of keys can be read on its own.
"""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from campaignctl.config.settings import Settings, env_name, keys
from campaignctl.errors import ConfigurationError

DEFAULT_FILE = Path("config/config.yaml")
RESERVED = frozenset({"CA_CONFIG", "CA_CONTEXT", "CA_OUTPUT", "CA_TOKEN", "CA_API_URL"})
"""CA_ variables that the command line reads itself; ``CA_TEST_*`` belongs to the test suites."""
_HINT = 'run "campaignctl config show" to see every key and where its value comes from'
_SERVICE_LINK = (
    "it looks like a Kubernetes service link: set enableServiceLinks: false in the pod, or rename the Service"
)

Values = dict[str, Any]


class _KeyTwiceError(Exception):
    def __init__(self, key: object) -> None:
        super().__init__("a key stands twice")
        self.key = key


class _Loader(yaml.SafeLoader):
    """YAML as it is meant: a key given twice is a mistake, not the last one wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001  the signature of the base
        seen: set[object] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value != "<<":
                if key_node.value in seen:
                    raise _KeyTwiceError(key_node.value)
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class _Environment(EnvSettingsSource):
    """The CA_ variables of a given environment, so that a test can pass its own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if name.startswith("CA_") and value != ""}


def load_settings(
    config_file: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The effective settings of a program.

    ``config_file`` is the ``--config`` flag (then it must exist); without it ``CA_CONFIG`` names the file, else
    ``config/config.yaml`` below the working directory is read when it is there. ``flags`` maps keys
    (``server.port``) to values from the command line; None means the flag was not given. ``environ`` defaults to the
    process environment. Raises ``ConfigurationError``, which names the key, where it was set and the nearest known one.
    """
    environ = os.environ if environ is None else environ
    path = _find_file(config_file, environ)
    layers: list[tuple[str, Values]] = []
    if path is not None:
        layers.append((str(path), _read_file(path)))
    layers.append(("environment", _read_environment(environ)))
    layers.append(("command line", _nest(flags or {})))

    merged: Values = {}
    origins: dict[str, str] = {}
    for label, values in layers:
        for key, value in _flatten(values):
            _put(merged, key, value)
            origins[key] = env_name(key) if label == "environment" else label
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        sentences = "; ".join(
            _sentence(detail, origins) for detail in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(sentences, hint=_HINT) from None
    settings._origins.update(origins)
    return settings


def _find_file(config_file: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read. One that was named must be there; the default one need not."""
    if config_file is None and not environ.get("CA_CONFIG"):
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    label = "--config" if config_file is not None else "CA_CONFIG"
    path = config_file or Path(environ["CA_CONFIG"]).expanduser()
    if not path.is_file():
        raise ConfigurationError(
            f"the configuration file {path} named by {label} does not exist", hint="check the path"
        )
    return path


def _read_file(path: Path) -> Values:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  a safe loader
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", hint="check the file's permissions") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None
    except yaml.YAMLError as error:
        # The parser's own message quotes the line, and the line may hold a password.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(
            f"{path}{where}: this is not valid YAML", hint="check quotes, colons and indentation"
        ) from None
    except _KeyTwiceError as error:
        raise ConfigurationError(f"{path}: '{error.key}' stands twice", hint="keep one of them") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold sections (server:, events:, ...) at its top level", hint=_HINT)
    return {str(name): _checked_section(path, str(name), value) for name, value in content.items()}


def _checked_section(path: Path, name: str, value: object) -> object:
    known = _sections()
    if name not in known:
        raise _unknown(f"unknown section '{name}' in {path}", name, known)
    inner = known[name]
    if inner is None:
        if isinstance(value, dict | list):
            raise ConfigurationError(f"'{name}' in {path} must be one value, not a section", hint=_HINT)
        return value
    if value is None:  # an empty section: "kafka:" with every key commented out
        return {}
    if not isinstance(value, dict):
        raise ConfigurationError(f"section '{name}' in {path} must hold keys and values", hint=_HINT)
    for key in value:
        if key not in inner:
            candidates = [*(f"{name}.{k}" for k in inner), *(k.name for k in keys())]
            raise _unknown(f"unknown key '{name}.{key}' in {path}", f"{name}.{key}", candidates)
    return value


def _sections() -> dict[str, set[str] | None]:
    """Top-level names with their keys; None for a plain value."""
    sections: dict[str, set[str] | None] = {}
    for key in keys():
        section, _, name = key.name.partition(".")
        if not name:
            sections[section] = None
            continue
        inner = sections.setdefault(section, set())
        assert inner is not None  # noqa: S101  a name is a section or a value, never both
        inner.add(name)
    return sections


def _read_environment(environ: Mapping[str, str]) -> Values:
    known = {key.env for key in keys()}
    for name in sorted(environ):
        if name.startswith("CA_") and not name.startswith("CA_TEST_") and name not in RESERVED:
            if name in known and environ[name].startswith(("tcp://", "udp://")):
                raise ConfigurationError(f"the environment variable {name} does not hold a port", hint=_SERVICE_LINK)
            if name not in known:
                raise _unknown(f"the environment variable {name} matches no configuration key", name, known | RESERVED)
    mine = {name: value for name, value in environ.items() if name in known}
    try:
        return _Environment(mine)()
    except SettingsError:
        raise ConfigurationError("a CA_ environment variable cannot be read", hint=_HINT) from None


def _unknown(what: str, name: str, candidates: Iterable[str]) -> ConfigurationError:
    if "_SERVICE_" in name or "_PORT_" in name:
        return ConfigurationError(what, hint=_SERVICE_LINK, code="unknown_key")
    near = get_close_matches(name, list(dict.fromkeys(candidates)), n=1, cutoff=0.5)
    return ConfigurationError(what + (f"; did you mean '{near[0]}'?" if near else ""), hint=_HINT, code="unknown_key")


def _nest(flags: Mapping[str, Any]) -> Values:
    nested: Values = {}
    for key, value in flags.items():
        if value is not None:
            _put(nested, key, value)
    return nested


def _put(values: Values, key: str, value: object) -> None:
    section, _, name = key.partition(".")
    if name:
        values.setdefault(section, {})[name] = value
    else:
        values[section] = value


def _flatten(values: Values) -> Iterable[tuple[str, object]]:
    """(dotted key, value) of what is really set: ``host:`` without a value in YAML leaves the default in place."""
    for section, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{section}.{name}", inner) for name, inner in value.items() if inner is not None)
        elif value is not None:
            yield section, value


def _sentence(detail: ErrorDetails, origins: Mapping[str, str]) -> str:
    key = ".".join(str(part) for part in detail["loc"][:2])
    where = f" ({origins[key]})" if key in origins else ""
    return f"{key}{where}: {_reason(detail)}"


def _reason(detail: ErrorDetails) -> str:
    """Our own words for what the validator found; they never hold the value."""
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case "value_error":
            return str(context["error"])
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return "must be a whole number"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case "string_type":
            return "must be text (YAML reads a bare no, on or 123 as something else: put it in quotes)"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "greater_than_equal":
            return f"must be {context['ge']} or more"
        case "less_than_equal":
            return f"must be {context['le']} or less"
        case "string_too_short":
            return (
                "must not be empty"
                if context["min_length"] == 1
                else f"must have {context['min_length']} characters or more"
            )
        case "string_too_long":
            return f"must have {context['max_length']} characters or fewer"
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "path_type":
            return "must be a path"
    return str(detail["msg"])
