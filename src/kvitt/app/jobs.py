"""The jobs of an installation: one line per job (design §3)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from kvitt.config import Settings
from kvitt.disbursement.ports import Ports
from kvitt.kernel.approvals import Approvals
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.jobs import Every, Job
from kvitt.ops.alarms import ReceiptDeadline, alarm_job

_LAPSES_EVERY: Final = timedelta(minutes=1)


def jobs_of(settings: Settings, ports: Ports) -> Sequence[Job]:
    """All jobs."""
    schedules = {rail.name: rail.schedule for rail in ports.rails}
    deadline = ReceiptDeadline(schedules, timedelta(minutes=settings.ops.receipt_after_minutes))
    return (
        alarm_job(utc_now, deadline, timedelta(seconds=settings.ops.look_seconds)),
        Job("approvals", Every(_LAPSES_EVERY), _lapse),
    )


def _lapse(connection: Connection, _due: datetime) -> str:
    return f"{Approvals(connection, utc_now).lapse()} approvals have lapsed"
