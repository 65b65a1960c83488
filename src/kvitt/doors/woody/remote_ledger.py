"""A ledger that is not ours, called over woody at its `/accounter` (payouts §4.1): the adapter of the payouts' port."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kvitt.doors.woody.client import CallFailed, ResourceUnavailable, WoodyClient
from kvitt.hub.payouts.ledger import Refused, Unavailable, Unknown
from kvitt.money import Minor
from kvitt.rules.ledger import Batch
from kvitt.wire.thrift.interface import module
from kvitt.wire.thrift.messages import Service

SERVICE = Service("accounter", "Accounter")


class WoodyLedger:
    """Holds, commits and rolls back plans of one batch elsewhere. Safe for use by several threads."""

    def __init__(self, client: WoodyClient) -> None:
        """`client` calls `SERVICE`."""
        self._client = client
        self._types: Any = module("accounter")
        self._account_not_found: type[Exception] = self._types.AccountNotFound
        self._invalid_request: type[Exception] = module("refusals").InvalidRequest

    def currency(self, account_id: int, *, deadline: datetime | None = None) -> str | None:
        """The currency of an account, or None. Raises Refused, Unavailable, Unknown."""
        try:
            return str(self._call("GetAccountByID", account_id, deadline).currency_sym_code)
        except self._account_not_found:
            return None

    def hold(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> Mapping[int, Minor]:
        """Holds a plan; returns `available_min` of each account of it, by account id. Raises Refused, Unavailable, Unknown."""
        log = self._call("Hold", self._types.PostingPlanChange(id=plan_id, batch=self._batch(batch)), deadline)
        return {account_id: Minor(account.min_available_amount) for account_id, account in log.affected_accounts.items()}

    def commit(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Commits a plan that was held. Raises Refused, Unavailable, Unknown."""
        self._call("CommitPlan", self._types.PostingPlan(id=plan_id, batch_list=[self._batch(batch)]), deadline)

    def rollback(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:
        """Rolls a plan back that was held. Raises Refused, Unavailable, Unknown."""
        self._call("RollbackPlan", self._types.PostingPlan(id=plan_id, batch_list=[self._batch(batch)]), deadline)

    def _call(self, method: str, argument: Any, deadline: datetime | None) -> Any:
        try:
            return self._client.call(method, argument, deadline=deadline)
        except self._invalid_request as refused:
            raise Refused("; ".join(refused.errors)) from refused  # type: ignore[attr-defined]
        except self._types.InvalidPostingParams as refused:
            # The reasons without the postings, which say who is paid.
            raise Refused("; ".join(sorted(set(refused.wrong_postings.values())))) from refused
        except ResourceUnavailable as failed:
            raise Unavailable(str(failed)) from failed
        except CallFailed as failed:
            # A service that failed in the middle of the call may have done it all the same.
            raise Unknown(str(failed)) from failed

    def _batch(self, batch: Batch) -> Any:
        postings = [
            self._types.Posting(from_id=source, to_id=target, amount=amount, currency_sym_code=currency, description=description)
            for source, target, amount, currency, description in batch.postings
        ]
        return self._types.PostingBatch(id=batch.batch_id, postings=postings)
