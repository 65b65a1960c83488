"""The command line: one module per group of commands, loaded when one of them is run, so that the help is quick."""

from collections.abc import Mapping
from typing import Final

from kvitt.cli.shell import Listed

COMMANDS: Final[Mapping[str, Listed]] = {
    "submit": Listed("kvitt.cli.submit:submit", "Append FILE (- = standard input) to the scheme's topic and wait for its final status"),
    "case": Listed("kvitt.cli.case:case", "Show what happened to a case in order of time, what is accepted day by day, and what waits"),
    "topic": Listed("kvitt.cli.topic:topic", "Print a topic's records, one to a line: partition, position, time, key, headers, value"),
    "check": Listed("kvitt.cli.check:check", "Derive everything again from the messages and receipts that came in, and compare"),
    "dead": Listed("kvitt.cli.dead:dead", "Look at dead letters, mend and replay them, or close them"),
    "receipt": Listed(
        "kvitt.cli.receipt:receipt",
        "Look at, and close, receipts that could not be read or matched, that were unclear, or that contradict an earlier one",
    ),
    "order": Listed(
        "kvitt.cli.order:order", "Look at orders that are held, in doubt, contradicted by the rail or not sent yet, and act on them"
    ),
    "alarm": Listed(
        "kvitt.cli.alarm:alarm", "Look at alarms: orders without a receipt, and orders of which the rail says otherwise than what stands"
    ),
    "approve": Listed("kvitt.cli.approve:approve", "Look at acts that somebody has asked for with --ask, and confirm or refuse them"),
    "audit": Listed("kvitt.cli.audit:audit", "See who did what, when and why, and verify that nothing of it was changed"),
    "sending": Listed("kvitt.cli.sending:sending", "Stop and resume sending to the rail"),
    "emulator": Listed("kvitt.cli.emulator:emulator", "Run the rail emulator, make it fail, and look into its books"),
    "db": Listed("kvitt.cli.installation:db", "Look after the database"),
    "kafka": Listed("kvitt.cli.kafka:kafka", "Where kvitt stands in the input topics, and where it shall begin"),
    "import": Listed("kvitt.cli.import_:import_", "Fill an empty kvitt with what another hub knows"),
    "job": Listed("kvitt.cli.job:job", "Look at scheduled jobs, and run one now"),
    "ledger": Listed("kvitt.cli.ledger:ledger", "Look at the double-entry ledger, and make accounts"),
    "party": Listed("kvitt.cli.party:party", "Load and show parties: their shops, contracts, payout tools and fee terms"),
    "token": Listed(
        "kvitt.cli.installation:token", "Print a token, signed with the key of the data directory, which is made when there is none"
    ),
    "payout": Listed("kvitt.cli.payout:payout", "Make payouts to shops, confirm or cancel them, and look at them"),
    "completion": Listed("kvitt.cli.installation:completion", "Print the script by which a shell completes kvitt's commands and options"),
}
"""The commands that work on a database, by name; those that are a process of their own are the program's to add."""
