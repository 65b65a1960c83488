"""All settings, with their defaults: a file `kvitt.toml`, overridden by the environment, overridden by options of a command.

The environment names a setting `KVITT_` and its name in capitals, one of a section with the section's name between: KVITT_KAFKA_GROUP.
"""

import os
import re
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import time
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from kvitt.environment import PREFIX, config_in, meant, settings_in
from kvitt.errors import BadSettings

FILE: Final = Path("kvitt.toml")
HIDDEN: Final = "(hidden)"  # stands for a secret wherever settings are shown


_PermissionName = Literal["payouts:read", "payouts:write", "ledger:read", "ledger:write"]
_SchemeName = Literal["DAGPENGER", "AAP", "TILLEGGSSTØNADER", "TILTAKSPENGER", "HISTORISK", "VALP", "SYKEPENGER"]


class OpsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Health, metrics and alarms of a process.

    `port` None: 9464 if it is free, else any; the log says which. The rail answers from `rail_opens` until `rail_closes` (00:00:00 = the
    end of the day), Oslo time, on working days or on `rail_every_day`; an order that has waited `receipt_after_minutes` of that time for
    its receipt raises an alarm. Every `look_seconds` it is looked for such orders.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    receipt_after_minutes: Annotated[float, Meta(gt=0)] = 60.0
    rail_opens: time = time(6)
    rail_closes: time = time(21)
    rail_every_day: bool = False
    look_seconds: Annotated[float, Meta(gt=0)] = 60.0


class KafkaSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the brokers are and who we are to them.

    `group` is the consumer group; the relay's transactional id follows from it, so installations that share a cluster need groups of
    their own. `instance` names this process among its group (static membership): the group then waits out `session_seconds` before it
    gives a stopped process's partitions away, and gives them back at once when it returns. `replication` is for topics that are made.
    `client` holds further settings of librdkafka, such as TLS and SASL, and `client_file` names a file of `name=value` lines with more;
    they win over ours. `rapid_topic` is what the rapid is called on this cluster.
    """

    bootstrap: str
    group: str = "kvitt"
    client_id: str = "kvitt"
    instance: str | None = None
    session_seconds: Annotated[float, Meta(gt=0)] = 6.0
    replication: Annotated[int, Meta(ge=1)] = 1
    make_topics: bool = True
    rapid_topic: str = "tbd.rapid.v1"
    client: Mapping[str, str] = {}
    client_file: Path | None = None

    def __repr__(self) -> str:
        """Without the values of `client`, which may be secrets."""
        return f"KafkaSettings(bootstrap={self.bootstrap!r}, group={self.group!r}, client={sorted(self.client)})"

    @property
    def transactional_id(self) -> str:
        """By which the brokers know the relay, so that a new one fences the old."""
        return f"{self.group}-relay"


class QueueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The message queue to the rail: a table of our own database, a broker that speaks STOMP, or IBM MQ.

    `password_file` holds the password on its first line. For STOMP, `tls` takes the files in PEM; for IBM MQ, `cipher` with
    `key_repository` turns TLS on. A message that came back `max_redeliveries` times goes to the dead-letter queue.
    """

    kind: Literal["table", "stomp", "mq"] = "table"
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    user: str = ""
    password: str = ""
    password_file: Path | None = None
    max_redeliveries: Annotated[int, Meta(ge=1)] = 10
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    queue_manager: str = ""
    channel: str = ""
    cipher: str = ""
    key_repository: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return f"QueueSettings(kind={self.kind!r}, host={self.host!r}, port={self.port!r}, user={self.user!r})"


class RapidSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rapid. `answer_invalid_needs` false: needs that break rules hear nothing, as of old.

    `ours`: this hub serves the rapid, in this process or another one; then it also hears of receipts of which nobody can say whose
    they are.
    """

    answer_invalid_needs: bool = True
    ours: bool = False


class ThriftSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the Thrift services of the roles `payouts` and `ledger` are.

    They know no tokens, as their clients send none: whoever reaches the address may call. So it is the loopback unless set, and
    `client_ca_file` lets in only clients with a certificate of it. `port` None: 8022 if it is free, else any; the log says which.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None


class RestSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON API of the roles `payouts`, `ledger` and `simulations`, and whose tokens let in.

    `issuer` with `jwks_url` or `jwks_file` (its key set) and `audience`; `applications` and `groups` say who may do what: `payouts:read`,
    `payouts:write`, `ledger:read`, `ledger:write`; `schemes`, which schemes an application (`azp_name`) may touch. Without an issuer only
    tokens of `kvitt token` let in. `port` None: 8080 if it is
    free, else any; the log says which. `ca_file` names the certificates that are trusted of the issuer.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    issuer: str = ""
    audience: str = "kvitt"
    jwks_url: str = ""
    jwks_file: Path | None = None
    ca_file: str = ""
    applications: Mapping[str, Sequence[_PermissionName]] = {}
    groups: Mapping[str, Sequence[_PermissionName]] = {}
    schemes: Mapping[str, Sequence[_SchemeName]] = {}


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on what callers may take of the APIs that listen; each of them has as much. Beyond it a caller is refused, or hung up on.

    `connections` None: 2048; never more than the descriptors of the process allow. `connections_per_address` None: half of them; an IPv6
    network of 64 bits is one address. A request has `header_seconds` from its first byte (or from the connection) until its head is
    whole, `body_seconds` more for its body; its answer may be `answer_seconds` on its way; a connection without a request lives
    `idle_seconds`. `body_memory_bytes` are bodies held at once: beyond it whoever has sent most of an unfinished one is refused.
    """

    connections: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    connections_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    header_seconds: Annotated[float, Meta(gt=0, le=600)] = 10.0
    body_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    idle_seconds: Annotated[float, Meta(gt=0, le=3600)] = 75.0
    answer_seconds: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    request_line_bytes: Annotated[int, Meta(ge=1024, le=65_536)] = 8_192
    headers: Annotated[int, Meta(ge=16, le=1000)] = 100
    header_bytes: Annotated[int, Meta(ge=1024, le=1_048_576)] = 32_768
    body_memory_bytes: Annotated[int, Meta(ge=8_388_608)] = 67_108_864


class PayoutsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of payouts: PartyManagement at `parties_url`, or the local directory; the ledger at `ledger_url`, or our own.

    `plans_of_others`: who calls our ledger may hold plans under the names that payouts have (`payout_…`), as another payout manager does;
    such a ledger has no payouts of its own. A call to a service takes at most `seconds`; `ca_file` names the certificates that are
    trusted, if not the system's.
    """

    parties_url: str = ""
    ledger_url: str = ""
    plans_of_others: bool = False
    seconds: Annotated[float, Meta(gt=0, le=60)] = 5.0
    ca_file: str = ""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings: what may differ between installations.

    `database_url` None means the embedded PostgreSQL under `data`. `lanes` is the number of writers of the intake; more than one
    pays only where the database is far away, for they share one interpreter. `kafka` None means the embedded log. For `start_seconds`
    `kvitt run` waits at its start for servers that do not answer. `log_level` and `log_form` None: as fits the command, errors for a
    person or more as JSON. `emulator_port`, of the emulator's simulation, None: 8024 if it is free, else any; the log says which.
    """

    data: Path = Path(".kvitt")
    database_url: str | None = None
    lanes: Annotated[int, Meta(ge=1)] = 1
    max_batch: Annotated[int, Meta(ge=1)] = 128
    request_queue: str = "oppdrag.request"
    reply_queue: str = "oppdrag.receipts"
    emulator: bool = True
    emulator_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    lease_seconds: Annotated[float, Meta(gt=0)] = 2.5
    start_seconds: Annotated[float, Meta(ge=0)] = 30.0
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    log_form: Literal["json", "console"] | None = None
    ops: OpsSettings = OpsSettings()
    kafka: KafkaSettings | None = None
    queue: QueueSettings = QueueSettings()
    rapid: RapidSettings = RapidSettings()
    thrift: ThriftSettings = ThriftSettings()
    rest: RestSettings = RestSettings()
    http: HttpSettings = HttpSettings()
    payouts: PayoutsSettings = PayoutsSettings()

    def __repr__(self) -> str:
        """Without secrets."""
        return f"Settings({shown(self)})"


_SECTIONS: Final[Mapping[str, type[Struct]]] = {
    "ops": OpsSettings,
    "kafka": KafkaSettings,
    "queue": QueueSettings,
    "rapid": RapidSettings,
    "thrift": ThriftSettings,
    "rest": RestSettings,
    "http": HttpSettings,
    "payouts": PayoutsSettings,
}
_SECRET_WORDS: Final = ("password", "secret", "scram_", "%")
"""In the name of a part of a conninfo that is one, or may be in an escaped name."""
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


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as they are in force, by section, with every secret hidden."""
    plain: dict[str, Any] = msgspec.to_builtins(settings, enc_hook=str)
    if settings.database_url:
        plain["database_url"] = _without_password(settings.database_url)
    if settings.queue.password:
        plain["queue"]["password"] = HIDDEN
    if settings.kafka:
        plain["kafka"]["client"] = dict.fromkeys(settings.kafka.client, HIDDEN)
    return plain


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
    for section in _SECTIONS:
        if section in found and not isinstance(found[section], dict):
            raise BadSettings(f"{source}: {section} is a section, [{section}], and no value")


def _refuse_empty(found: Mapping[str, Any], kind: type[Struct], source: str, section: str = "") -> None:
    for field in msgspec.structs.fields(kind):
        value = found.get(field.name)
        if field.name in _SECTIONS and isinstance(value, dict):
            _refuse_empty(value, _SECTIONS[field.name], source, f"[{field.name}] ")
        elif isinstance(value, str) and not value.strip() and field.default != "":
            raise BadSettings(f"{source}: {section}{field.name} is empty: leave it out, or give it a value")


def _overlay(found: dict[str, Any]) -> None:
    """Puts what the environment names over what the file says. Raises BadSettings for a name that is none."""
    places = dict(_variables())
    for variable, value in settings_in(os.environ, places).items():
        section, name = places[variable]
        if section:
            found[section] = {**found.get(section, {}), name: value}
        else:
            found[name] = value


def _variables() -> Iterator[tuple[str, tuple[str, str]]]:
    """Every variable that sets something, with the section ("" for none) and the name of what it sets."""
    kinds: Mapping[str, type[Struct]] = {"": Settings, **_SECTIONS}
    for section, kind in kinds.items():
        prefix = f"{PREFIX}{section.upper()}_" if section else PREFIX
        for field in msgspec.structs.fields(kind):
            if (section or field.name not in _SECTIONS) and not _is_table(field.type):
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
    kind = _SECTIONS.get(section, Settings)
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
    kafka, queue = settings.kafka, settings.queue
    try:
        if kafka and kafka.client_file:
            kafka = msgspec.structs.replace(kafka, client={**read_client_file(kafka.client_file), **kafka.client}, client_file=None)
        if queue.password_file:
            password = queue.password_file.read_text("utf-8-sig").partition("\n")[0]
            queue = msgspec.structs.replace(queue, password=password, password_file=None)
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
    port = queue.port or _QUEUE_PORTS.get(queue.kind)
    return msgspec.structs.replace(settings, kafka=kafka, queue=msgspec.structs.replace(queue, port=port))


def _without_password(url: str) -> str:
    """A conninfo without the password of its user; nothing of one that holds secrets elsewhere."""
    head, found, tail = url.rpartition("@")
    if found and "://" in head:
        scheme, _, user = head.partition("://")
        url = f"{scheme}://{user.partition(':')[0]}@{tail}"
    return HIDDEN if any(word in url.lower() for word in _SECRET_WORDS) else url


def _decode(kind: type, value: object) -> object:
    if kind is Path and not isinstance(value, str | Path):
        raise TypeError("Expected `str`")
    return Path(str(value)) if kind is Path else value
