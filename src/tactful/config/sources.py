"""Where the values of keys are found: in the file, in the environment, in files of their own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tactful.channels.settings import apprise_variable
from tactful.config import values
from tactful.config.keys import DURATIONS, KEYS, NAMED, SECRET_KEYS
from tactful.core.errors import ConfigError

PREFIX: Final = "TACTFUL_"
# `--config` has a variable of its own; those of test suites are nobody's business here.
_NOT_KEYS: Final = ("TACTFUL_CONFIG", "TACTFUL_TEST_")


class Raw(NamedTuple):
    """A value as it was found, and where."""

    value: object
    origin: str


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError if it cannot be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config: cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"config: {file} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config: {file} is no TOML: {error}") from None


def from_file(table: Mapping[str, Any], file: Path) -> dict[str, Raw]:
    """What the tables of a file set; raises ConfigError for a key that there is not."""
    found: dict[str, Raw] = {}
    for key, value in _flat({k: v for k, v in table.items() if k not in NAMED}):
        secret = key.removesuffix("_file")
        if key in KEYS:
            _put(found, key, value, str(file))
        elif key.endswith("_file") and secret in SECRET_KEYS and isinstance(value, str):
            path = file.parent / value
            _put(found, secret, _file_text(path, key), str(path))
        else:
            raise ConfigError(f"{key}: is no key, in {file}; {_known_near(key)}")
    return found


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of nested tables, joined by dots; a table that is empty says nothing."""
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in KEYS:
            if value and all(not known.startswith(f"{key}.") for known in KEYS):
                yield key, value
            else:
                yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _known_near(key: str) -> str:
    """What could have been meant: the keys of the same table, or the tables."""
    every = (*KEYS, *(f"{secret}_file" for secret in SECRET_KEYS))
    table = key.rpartition(".")[0]
    near = [known for known in every if table and known.rpartition(".")[0] == table]
    tables = dict.fromkeys(f"{known.split('.')[0]}.*" for known in KEYS if "." in known)
    top = (
        *(known for known in every if "." not in known),
        *tables,
        *(f"{kind}.NAME" for kind in NAMED),
    )
    return f"known are {', '.join(near or top)}"


def from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Raw], tuple[str, ...]]:
    """What the environment sets, and which of its variables mean nothing here."""
    found: dict[str, Raw] = {}
    names = {PREFIX + key.upper().replace(".", "_"): key for key in KEYS}
    urls = {
        name.removesuffix("_FILE"): f"apprise.{service}.url"
        for name in environ
        if (service := apprise_variable(name))
    }
    names |= urls
    ignored = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(_NOT_KEYS):
            continue
        secret = names.get(name.removesuffix("_FILE"))
        if name in names:
            _put(found, names[name], environ[name], name)
        elif name.endswith("_FILE") and secret in (*SECRET_KEYS, *urls.values()):
            _put(found, secret, _file_text(Path(environ[name]), name), name)
        else:
            ignored.append(name)
    return found, tuple(ignored)


def _put(found: dict[str, Raw], key: str, value: object, origin: str) -> None:
    if key in found:
        raise ConfigError(f"{key}: is set twice, in {found[key].origin} and in {origin}")
    found[key] = Raw(value, origin)


def _file_text(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"{key}: cannot read {path}: {why}") from None


def value_of(raw: Mapping[str, Raw], key: str) -> Any:
    """The value that is meant; raises ConfigError with the key, the bound and the place."""
    value, origin = raw[key]
    try:
        return KEYS[key](value)
    except values.WrongError as error:
        got = "a secret" if key in SECRET_KEYS else repr(value)[:120]
        raise ConfigError(f"{key}: {error} (got {got}), in {origin}") from None


def section(raw: Mapping[str, Raw], prefix: str) -> dict[str, Any]:
    """The values of the keys right below a prefix; durations get the engine's names for them."""
    found = {}
    for key in raw:
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and "." not in name:
            found[f"{name}_ms" if name in DURATIONS else name] = value_of(raw, key)
    return found


def complete(given: Mapping[str, Any], table: str, *needed: str) -> None:
    """Raise ConfigError for a key that the others of its table need and that is missing."""
    for name in needed:
        if name not in given:
            raise ConfigError(f"{table}.{name}: is missing; the other keys of [{table}] need it")
