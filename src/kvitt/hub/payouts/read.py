"""What payouts can be asked without changing them: one, a page of them, and what was told (payouts §2.4)."""

from kvitt.errors import PayoutNotFound
from kvitt.hub.payouts import stored
from kvitt.hub.payouts.stored import Standing
from kvitt.hub.payouts.values import Payout, PayoutCursor, PayoutEvent
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load
from kvitt.rules.payouts import PayoutStatus, is_payout_id

_SQL = load("payouts", "kvitt.store")


class Reading:
    """Looks at payouts, on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def exists(self, payout_id: str) -> bool:
        """Whether there is a payout under an id that can be one."""
        row = self._connection.execute(_SQL.payout_exists, (payout_id,), binary=True).fetchone()
        return row is not None and bool(row[0])

    def standing(self, payout_id: str) -> Standing:
        """A payout with what only kvitt knows of it. Raises PayoutNotFound."""
        if not is_payout_id(payout_id):
            raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")
        with self._connection.cursor() as cursor:
            found = stored.load(cursor, [payout_id]).get(payout_id)
        if found is None:
            raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")
        if not found.payout.cash_flow:
            raise PayoutNotFound(f"CashFlowPosting not found, payoutId='{payout_id}'")
        return found

    def page(
        self, after: PayoutCursor | None, limit: int, *, party_id: str | None, shop_id: str | None, status: PayoutStatus | None
    ) -> list[Payout]:
        """Payouts behind a place, newest first."""
        wanted = {
            "at": after and after.created_at,
            "payout_id": after and after.payout_id,
            "party_id": party_id,
            "shop_id": shop_id,
            "status": status,
            "limit": limit,
        }
        with self._connection.cursor() as cursor:
            payout_ids = [row[0] for row in cursor.execute(_SQL.page, wanted)]
            found = stored.load(cursor, payout_ids)
        return [found[payout_id].payout for payout_id in payout_ids]

    def events(self, payout_id: str) -> list[PayoutEvent]:
        """What was told of a payout, in order. Raises PayoutNotFound."""
        self.standing(payout_id)
        with self._connection.cursor() as cursor:
            return stored.events(cursor, [payout_id])[payout_id]
