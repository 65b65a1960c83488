"""Reads the settings: a file `kvitt.toml`, overridden by the environment, overridden by options of a command.

The environment names a setting `KVITT_` and its name in capitals, one of a section with the section's name between: KVITT_KAFKA_GROUP.
"""

import os
import re
import tomllib
from collections.abc import Container, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from kvitt.approval_settings import MAY_BE_ALONE, ApprovalSettings
from kvitt.console_settings import ConsoleSettings
from kvitt.environment import PREFIX, config_in, meant, settings_in
from kvitt.errors import BadSettings
from kvitt.settings import SECTIONS, CheckSettings, DecisionSettings, RateSettings, Settings, SimulationSettings

FILE: Final = Path("kvitt.toml")
_TABLES: Final[Mapping[str, type[Struct]]] = {
    "decisions": DecisionSettings,
    "rest.rates": RateSettings,
    "simulation.checks": CheckSettings,
}
"""Sections under names that the file chooses."""
_QUEUE_PORTS: Final = {"stomp": 61613, "mq": 1414}


def load_settings(file: Path | None = None, **overrides: object) -> Settings:
    """The settings from `file` (None: the one that KVITT_CONFIG names, or kvitt.toml if it is there), the environment, and `overrides`
    (None = not given). Raises BadSettings naming the file or variable, the setting and the rule.

    What is empty is no value, except where empty is the default: nothing that was not said is taken for a choice.
    """
    from_environment = config_in(os.environ)
    named = file or (Path(from_environment) if from_environment else None)
    found = _read(named or FILE) if named or FILE.exists() else {}
    source = str(named or FILE)
    _refuse_misplaced(found, source)
    _refuse_empty(found, Settings, source)
    _overlay(found)
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, value in given.items():
        if isinstance(value, str) and not value.strip():
            raise BadSettings(f"{_option(name)} is empty: leave it out, or give it a value")
    found.update(given)
    return _completed(_convert(found, source, given))


def read_client_file(path: Path) -> Mapping[str, str]:
    """The `client` settings in a file of `name=value` lines; empty lines and those that begin with # say nothing.

    Raises OSError when the file can't be read, ValueError naming the line that is none.
    """
    given: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, found, value = line.partition("=")
        if not found:
            raise ValueError(f"{path}:{number} is not name=value")
        given[name.strip()] = value.strip()
    return given


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise BadSettings(f"{file} can not be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{file} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{file} is not TOML: {error}") from None


def _refuse_misplaced(found: Mapping[str, Any], source: str) -> None:
    for section in SECTIONS:
        if section in found and not isinstance(found[section], dict):
            raise BadSettings(f"{source}: {section} is a section, [{section}], and no value")


def _refuse_empty(found: Mapping[str, Any], kind: type[Struct], source: str, section: str = "") -> None:
    for field in msgspec.structs.fields(kind):
        value = found.get(field.name)
        if field.name in SECTIONS and isinstance(value, dict):
            _refuse_empty(value, SECTIONS[field.name], source, f"[{field.name}] ")
        elif isinstance(value, str) and not value.strip() and field.default != "":
            raise BadSettings(f"{source}: {section}{field.name} is empty: leave it out, or give it a value")


def _overlay(found: dict[str, Any]) -> None:
    """Puts what the environment names over what the file says. Raises BadSettings for a name that is none."""
    places = _variables()
    for variable, value in settings_in(os.environ, places).items():
        section, name = places[variable]
        if section:
            found[section] = {**found.get(section, {}), name: value}
        else:
            found[name] = value


@cache
def _variables() -> Mapping[str, tuple[str, str]]:
    """Every variable that sets something, with the section ("" for none) and the name of what it sets."""
    return MappingProxyType(dict(_named_variables()))


def _named_variables() -> Iterator[tuple[str, tuple[str, str]]]:
    kinds: Mapping[str, type[Struct]] = {"": Settings, **SECTIONS}
    for section, kind in kinds.items():
        prefix = f"{PREFIX}{section.upper()}_" if section else PREFIX
        for field in msgspec.structs.fields(kind):
            if (section or field.name not in SECTIONS) and not _is_table(field.type):
                yield f"{prefix}{field.name.upper()}", (section, field.name)


def _is_table(kind: Any) -> bool:
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType, Annotated) else (kind,)
    return any(get_origin(part) is Mapping or part is Mapping for part in parts)


def _convert(found: Mapping[str, Any], file: str, options: Container[str]) -> Settings:
    try:
        return msgspec.convert(found, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        setting = str(error).partition(" - at `$.")[2].rstrip("`")
        raise BadSettings(f"{_said_by(setting, file, options)}: {error}{_nearest(str(error), setting)}") from None


def _nearest(said: str, section: str) -> str:
    """Returns what an unknown key of the file was meant to be."""
    unknown = re.search(r"unknown field `(.*?)`", said)
    kind = _TABLES.get(section.partition("[")[0]) or SECTIONS.get(section, Settings)
    return meant(unknown[1], [field.name for field in msgspec.structs.fields(kind)]) if unknown else ""


def _option(setting: str) -> str:
    return "--database" if setting == "database_url" else f"--{setting}"


def _said_by(setting: str, file: str, options: Container[str]) -> str:
    """Who said this: an option, a variable of the environment, or the file."""
    if setting in options:
        return _option(setting)
    variable = f"KVITT_{setting.upper().replace('.', '_')}"
    return variable if variable in os.environ else file


def _completed(settings: Settings) -> Settings:
    """With what stands in files of its own, and with what one setting says about another."""
    kafka, queue, simulation, console = settings.kafka, settings.queue, settings.simulation, settings.console
    try:
        if kafka and kafka.client_file:
            kafka = msgspec.structs.replace(kafka, client={**read_client_file(kafka.client_file), **kafka.client}, client_file=None)
        if queue.password_file:
            queue = msgspec.structs.replace(queue, password=_first_line(queue.password_file), password_file=None)
        if simulation.password_file:
            simulation = msgspec.structs.replace(simulation, password=_first_line(simulation.password_file), password_file=None)
        if simulation.proxy_secret_file:
            secret = _first_line(simulation.proxy_secret_file)
            simulation = msgspec.structs.replace(simulation, proxy_client_secret=secret, proxy_secret_file=None)
        console = _with_secret(console)
    except OSError as error:
        raise BadSettings(f"{error.filename} can not be read: {error.strerror}") from None
    except ValueError as error:
        raise BadSettings(str(error)) from None
    if queue.kind != "table" and not queue.host:
        raise BadSettings(f"[queue] host: a queue of kind {queue.kind} has a host")
    if queue.kind == "mq" and not (queue.queue_manager and queue.channel):
        raise BadSettings("[queue] queue_manager, channel: a queue of kind mq has both")
    rest = settings.rest
    if rest.issuer and not (rest.jwks_url or rest.jwks_file):
        raise BadSettings("[rest] jwks_url, jwks_file: an issuer has a key set, at one of them")
    _require_whole(simulation)
    _require_issuer(console)
    _refuse_alone(settings.approvals)
    port = queue.port or _QUEUE_PORTS.get(queue.kind)
    queue = msgspec.structs.replace(queue, port=port)
    return msgspec.structs.replace(settings, kafka=kafka, queue=queue, simulation=simulation, console=console)


def _first_line(file: Path) -> str:
    return file.read_text("utf-8-sig").partition("\n")[0]


def _with_secret(console: ConsoleSettings) -> ConsoleSettings:
    if not console.client_secret_file:
        return console
    return msgspec.structs.replace(console, client_secret=_first_line(console.client_secret_file), client_secret_file=None)


def _require_issuer(console: ConsoleSettings) -> None:
    """Raises BadSettings where people could not log in, or anybody could."""
    if console.issuer and not (console.url and console.authorize_url and console.token_url and console.jwks_url):
        raise BadSettings("[console] url, authorize_url, token_url, jwks_url: a console with an issuer has all of them")
    if console.issuer and console.local_people:
        raise BadSettings("[console] local_people, issuer: people are made up, or an issuer knows them")


def _refuse_alone(approvals: ApprovalSettings) -> None:
    """Raises BadSettings for an act that one person never does, or that there is not."""
    for act in approvals.alone:
        if act not in MAY_BE_ALONE:
            raise BadSettings(
                f"[approvals] alone: {act!r} is no act that one person may do; these may be: {', '.join(MAY_BE_ALONE)}"
                f"{meant(act, MAY_BE_ALONE)}"
            )


def _require_whole(simulation: SimulationSettings) -> None:
    """Raises BadSettings where one setting of the simulation needs another."""
    if simulation.token_url and not (simulation.user and simulation.password):
        raise BadSettings("[simulation] user, password: a token service has both")
    if simulation.proxy_url and not (simulation.proxy_client_id and simulation.proxy_client_secret and simulation.proxy_scope):
        raise BadSettings("[simulation] proxy_client_id, proxy_client_secret, proxy_scope: a proxy has all of them")
    if simulation.token_url and not simulation.url:
        raise BadSettings("[simulation] url: a token service is of a simulation that has an address")
    if not simulation.on and any(each.policy != "off" for each in simulation.checks.values()):
        raise BadSettings("[simulation] checks, on: orders can not be simulated before they leave where nothing is")


def _decode(kind: type, value: object) -> object:
    if kind is Path and not isinstance(value, str | Path):
        raise TypeError("Expected `str`")
    return Path(str(value)) if kind is Path else value
