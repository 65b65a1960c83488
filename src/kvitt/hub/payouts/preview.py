"""What an act would do to a payout and to the accounts of its flow, without doing it (design §7: a preview is of the same making)."""

from collections.abc import Mapping

from msgspec import Struct

from kvitt.errors import InvalidPayout
from kvitt.hub.ledger.calls import State
from kvitt.hub.ledger.read import Ledger
from kvitt.hub.payouts.decide import Todo
from kvitt.kernel.database import Connection
from kvitt.money import NOTHING, Minor
from kvitt.rules.ledger import Operation, Totals, after_final, after_hold, net_by_account
from kvitt.rules.payouts import Payout, other_currencies


class AccountPreview(Struct, frozen=True):
    """The totals of an account in its currency, now and after the act."""

    account_id: int
    currency: str
    before: Totals
    after: Totals


class Preview(Struct, frozen=True):
    """A payout as it would be. `changes` False: it is so already. `solvent` False: it would be refused for lack of funds.

    `accounts` is None where the plan is in another's ledger, which can not be asked without changing it.
    """

    payout: Payout
    changes: bool
    solvent: bool
    accounts: tuple[AccountPreview, ...] | None


def preview_of(decided: Todo | Payout, connection: Connection, *, own: bool) -> Preview:
    """What has to be done, worked out on the totals of this moment; `own`: the plan is, or would be, in our own ledger."""
    if isinstance(decided, Payout):
        return Preview(decided, changes=False, solvent=True, accounts=() if own else None)
    if not own:
        return Preview(decided.payout, changes=True, solvent=True, accounts=None)
    net = net_by_account([posting for batch in decided.calls[0].batches for posting in batch.postings]) if decided.calls else {}
    solvent = decided.calls[0].solvent if decided.calls else None
    states = Ledger(connection).states({*net, *([] if solvent is None else [solvent])})
    if decided.before is None:
        _compare_currencies(decided.payout, states)
    before = {account_id: state.totals for account_id, state in states.items()}
    after = {account_id: _after(decided, before[account_id], net.get(account_id, NOTHING)) for account_id in before}
    accounts = tuple(
        AccountPreview(account_id, states[account_id].account.currency, before[account_id], after[account_id])
        for account_id in net
        if account_id in before
    )
    return Preview(decided.payout, changes=True, solvent=_is_solvent(solvent, after), accounts=accounts)


def _compare_currencies(payout: Payout, states: Mapping[int, State]) -> None:
    """Raises InvalidPayout as the making of the payout would, where an account is in another currency."""
    currencies = {account_id: state.account.currency for account_id, state in states.items()}
    if wrong := other_currencies(payout.currency, payout.cash_flow, currencies):
        raise InvalidPayout(*wrong)


def _after(todo: Todo, totals: Totals, net: Minor) -> Totals:
    for call in todo.calls:
        totals = after_hold(totals, NOTHING, net) if call.operation is Operation.HOLD else after_final(totals, call.operation, net)
    return totals


def _is_solvent(account_id: int | None, after: Mapping[int, Totals]) -> bool:
    return account_id is None or (account_id in after and after[account_id].available_min >= 0)
