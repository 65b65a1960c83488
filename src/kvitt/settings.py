"""The settings by section, with their defaults and their bounds: all that may differ between installations."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from kvitt.approval_settings import ApprovalSettings
from kvitt.broker_settings import KafkaSettings, QueueSettings, RapidSettings
from kvitt.console_settings import ConsoleSettings
from kvitt.tracing_settings import TracingSettings

HIDDEN: Final = "(hidden)"  # stands for a secret wherever settings are shown
_PermissionName = Literal["payouts:read", "payouts:write", "ledger:read", "ledger:write", "reconciliation:read", "reconciliation:write"]
_NameOfScheme = Literal["DAGPENGER", "AAP", "TILLEGGSSTØNADER", "TILTAKSPENGER", "HISTORISK", "VALP", "SYKEPENGER"]


class OpsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Health, metrics and alarms of a process.

    `port` None: 9464 if it is free, else any; the log says which. The rail answers from `rail_opens` until `rail_closes` (00:00:00 = the
    end of the day), Oslo time, on working days or on `rail_every_day`; an order that has waited `receipt_after_minutes` of that time for
    its receipt raises an alarm, and so does a rail that has answered no simulation for `simulation_after_minutes` of it, though it was
    asked, and an area whose run of reconciliation is not at the rail `reconciliation_after_minutes` after it should be. Every
    `look_seconds` it is looked for these.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    receipt_after_minutes: Annotated[float, Meta(gt=0)] = 60.0
    simulation_after_minutes: Annotated[float, Meta(gt=0)] = 5.0
    reconciliation_after_minutes: Annotated[float, Meta(gt=0)] = 60.0
    rail_opens: time = time(6)
    rail_closes: time = time(21)
    rail_every_day: bool = False
    look_seconds: Annotated[float, Meta(gt=0)] = 60.0


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


class RateSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one application may call, on average and at once, in each process."""

    calls_per_second: Annotated[float, Meta(gt=0, le=1_000_000)]
    burst: Annotated[int, Meta(ge=1, le=1_000_000)]


class RestSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The JSON API of the roles `payouts`, `ledger`, `simulations`, `reconciliations` and `decisions`, and whose tokens let in.

    `issuer` with `jwks_url` or `jwks_file` (its key set) and `audience`; `applications` and `groups` say who may do what: `payouts:read`,
    `payouts:write`, `ledger:read`, `ledger:write`, `reconciliation:read`, `reconciliation:write`; `schemes`, which schemes an application
    (`azp_name`, or what is behind its last colon) may touch. Without an issuer only tokens of `kvitt token` let in. `port` None: 8080 if it
    is free, else any; the log says which. `ca_file` names the certificates that are trusted of the issuer.

    `scheme_header`: the header `fagsystem` names the scheme of whoever calls, whatever their application; never in production. None:
    where kvitt runs its own database and no issuer is set. An application has at most `calls_per_second` on average, in each process,
    and `burst` at once; `rates` are those of single ones. A decision has at most `decision_bytes`; `decision_writers` take decisions,
    and who sends one about a case that somebody else holds waits `decision_seconds` for the outcome. `docs`: anybody may read how the API
    is described.
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
    schemes: Mapping[str, Sequence[_NameOfScheme]] = {}
    scheme_header: bool | None = None
    calls_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] = 2_000.0
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    rates: Mapping[str, RateSettings] = {}
    decision_bytes: Annotated[int, Meta(ge=1024, le=67_108_864)] = 8_388_608
    decision_writers: Annotated[int, Meta(ge=1, le=64)] = 1
    decision_seconds: Annotated[float, Meta(gt=0)] = 10.0
    docs: bool = True


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on what callers may take of the APIs that listen; each of them has as much. Beyond it a caller is refused, or hung up on.

    `connections` None: 2048; never more than the descriptors of the process allow. `connections_per_address` None: half of them; an IPv6
    network of 64 bits is one address. A request has `header_seconds` from its first byte (or from the connection) until its head is
    whole, `body_seconds` more for its body; its answer may be `answer_seconds` on its way; a connection without a request lives
    `idle_seconds`. `body_memory_bytes` are bodies held at once: beyond it whoever has sent most of an unfinished one is refused.

    `shared_ports`: other processes of this machine listen at the same ports, and the system shares callers out among them.
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
    shared_ports: bool = False


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


class CheckSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the orders of a scheme are simulated before they leave: not at all, with a warning, or so that what is found holds the order.

    `most_recovered_kroner` None: any recovery is allowed. As long as the rail does not say what an order would lead to, the order waits
    or, `when_silent` "send", it leaves unchecked.
    """

    policy: Literal["off", "warn", "block"] = "off"
    most_recovered_kroner: Annotated[int, Meta(ge=0)] | None = None
    when_silent: Literal["wait", "send"] = "wait"


class SimulationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rail's simulation: whether it is asked, where, and with what.

    `url` empty: the emulator's, where this process plays it. `token_url` with `user` and `password` (or `password_file`, its first line)
    is where SAML assertions come from, `proxy_url` with client, secret (or `proxy_secret_file`) and scope where tokens for the proxy do. A
    question has `seconds` for all of it and `connect_seconds` to reach the rail; `at_once` are asked at a time, each about another case.
    One without an answer for `hangs_seconds` gives its place to another; `hanging` may do so at a time. One that has waited `wait_seconds`
    for its turn is answered that there was no time for it. `on` false: all are answered as outside the rail's hours. A call over REST waits
    `call_seconds` for its answer, a dry run `dry_run_seconds`, at most `calls` of them at once. `checks`, by scheme: whether orders are
    simulated before they leave.
    The rail's word, also that which an approver saw, holds for `valid_days` working days. After a question whose answer never came no
    order of its case leaves for `rail_seconds`, in which the rail may be at work on it.
    """

    on: bool = True
    url: str = ""
    token_url: str = ""
    user: str = ""
    password: str = ""
    password_file: Path | None = None
    proxy_url: str = ""
    proxy_client_id: str = ""
    proxy_client_secret: str = ""
    proxy_secret_file: Path | None = None
    proxy_scope: str = ""
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    connect_seconds: Annotated[float, Meta(gt=0, le=120)] = 5.0
    seconds: Annotated[float, Meta(gt=0, le=600)] = 120.0
    rail_seconds: Annotated[float, Meta(ge=0, le=3600)] = 120.0
    wait_seconds: Annotated[float, Meta(gt=0, le=3600)] = 300.0
    at_once: Annotated[int, Meta(ge=1, le=1000)] = 32
    hanging: Annotated[int, Meta(ge=0, le=1000)] = 128
    hangs_seconds: Annotated[float, Meta(gt=0, le=600)] = 5.0
    call_seconds: Annotated[float, Meta(gt=0, le=600)] = 9.0
    dry_run_seconds: Annotated[float, Meta(gt=0, le=600)] = 120.0
    calls: Annotated[int, Meta(ge=1, le=10_000)] = 256
    checks: Mapping[_NameOfScheme, CheckSettings] = {}
    valid_days: Annotated[int, Meta(ge=1, le=30)] = 1

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"SimulationSettings(on={self.on}, url={self.url!r}, token_url={self.token_url!r}, user={self.user!r})"


class ReconciliationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the orders of each area are reported to its rail: each working day `at` an Oslo time, or at its own in `areas`.

    Those of areas that are `off`, or of all where `on` is false, are only reported when somebody asks for it. An area that was never
    reconciled begins at `first_day`, which is to be set where another system reported before; None: with its first order, at the latest
    at the working day before. Where `on_events` is false nothing is done when a record of a topic asks for it: somebody else does.
    """

    on: bool = True
    on_events: bool = True
    at: time = time(6, 30)
    areas: Mapping[str, time] = {}
    off: tuple[str, ...] = ()
    first_day: date | None = None


class DecisionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may send which decisions of a scheme over REST.

    A person of one of `approver_groups` is an approver. `system_callers` are the applications that may send without a person behind them,
    by what is behind the last colon of their names; None: all of the scheme. `approver_opens`, `approver_frames`: only an approver sends
    the first decision of a case, and changes its frame. Others pay at most `cap_kroner` a day, as long as the case has no cap of its
    own; 0: anything; None: 5000 in DAGPENGER, anything elsewhere. `two_people`: in whose decisions nobody both decides and attests.

    Of `/api/iverksetting`: `answers_as` is the generation of the service whose codes, texts and bodies its callers know;
    `may_lack_payments`: a decision without the list of what it pays is taken as one that pays nothing, and so ceases all that is paid;
    `status_topic`: statuses are published on `helved.iverksetting-status-v1`.
    """

    approver_groups: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    system_callers: tuple[Annotated[str, Meta(pattern="^[^:]+$")], ...] | None = None
    approver_opens: bool = True
    approver_frames: bool = True
    cap_kroner: Annotated[int, Meta(ge=0)] | None = None
    two_people: Literal["persons", "all", "nobody"] = "persons"
    answers_as: Literal["first", "second_plain", "second", "third"] = "third"
    may_lack_payments: bool = False
    status_topic: bool = False


class SourceLimitSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a source may have paid, counted by what its orders pay more than before until a year from then; None: no limit."""

    kroner_per_hour: Annotated[int, Meta(ge=0)] | None = None
    kroner_per_order: Annotated[int, Meta(ge=0)] | None = None


class LimitsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on what may be paid: orders over them are held until two people release them.

    `sources`, by the name of an application that calls, or of a topic; an application's is what is behind the last colon.
    """

    sources: Mapping[Annotated[str, Meta(pattern="^[^:]+$")], SourceLimitSettings] = {}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings: what may differ between installations.

    `database_url` None means the embedded PostgreSQL under `data`. `workers` processes share the work of `kvitt up` and `kvitt run`,
    "auto": as many as have something to do on this machine. `lanes` is the number of writers of the intake in each; more than one
    pays only where the database is far away, for they share one interpreter. `kafka` None means the embedded log. For `start_seconds`
    `kvitt run` waits at its start for servers that do not answer. `log_level` and `log_form` None: as fits the command.
    `emulator_port`, of the emulator's simulation, None: 8024 if it is free, else any. `decisions` are the rules of schemes.
    """

    data: Path = Path(".kvitt")
    database_url: str | None = None
    workers: Annotated[int, Meta(ge=1, le=64)] | Literal["auto"] = "auto"
    lanes: Annotated[int, Meta(ge=1)] = 1
    max_batch: Annotated[int, Meta(ge=1)] = 256
    request_queue: str = "oppdrag.request"
    reply_queue: str = "oppdrag.receipts"
    reconciliation_queue: str = "oppdrag.reconciliation"
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
    console: ConsoleSettings = ConsoleSettings()
    http: HttpSettings = HttpSettings()
    payouts: PayoutsSettings = PayoutsSettings()
    simulation: SimulationSettings = SimulationSettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    limits: LimitsSettings = LimitsSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    tracing: TracingSettings = TracingSettings()
    decisions: Mapping[_NameOfScheme, DecisionSettings] = {}

    def __repr__(self) -> str:
        """Without secrets."""
        return f"Settings({shown(self)})"


SECTIONS: Final[Mapping[str, type[Struct]]] = {
    "ops": OpsSettings,
    "kafka": KafkaSettings,
    "queue": QueueSettings,
    "rapid": RapidSettings,
    "thrift": ThriftSettings,
    "rest": RestSettings,
    "console": ConsoleSettings,
    "http": HttpSettings,
    "payouts": PayoutsSettings,
    "simulation": SimulationSettings,
    "reconciliation": ReconciliationSettings,
    "limits": LimitsSettings,
    "approvals": ApprovalSettings,
    "tracing": TracingSettings,
}
_SECRETS: Final = (("queue", "password"), ("simulation", "password"), ("simulation", "proxy_client_secret"), ("console", "client_secret"))
_SECRET_WORDS: Final = ("password", "secret", "scram_", "%")
"""In the name of a part of a conninfo that is one, or may be in an escaped name."""


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as they are in force, by section, with every secret hidden."""
    plain: dict[str, Any] = msgspec.to_builtins(settings, enc_hook=str)
    if settings.database_url:
        plain["database_url"] = _without_password(settings.database_url)
    for section, secret in _SECRETS:
        plain[section][secret] = plain[section][secret] and HIDDEN
    if settings.kafka:
        plain["kafka"]["client"] = dict.fromkeys(settings.kafka.client, HIDDEN)
    return plain


def _without_password(url: str) -> str:
    """A conninfo without the password of its user; nothing of one that holds secrets elsewhere."""
    head, found, tail = url.rpartition("@")
    if found and "://" in head:
        scheme, _, user = head.partition("://")
        url = f"{scheme}://{user.partition(':')[0]}@{tail}"
    return HIDDEN if any(word in url.lower() for word in _SECRET_WORDS) else url
