"""The command line: one module per group of commands, loaded when one of them is run, so that the help is quick."""

from collections.abc import Mapping
from typing import Final

from kvitt.cli.shell import Lazy

COMMANDS: Final[Mapping[str, Lazy]] = {
    "submit": Lazy("kvitt.cli.submit:submit", "Append FILE (- = standard input) to the scheme's topic and wait for its final status"),
    "case": Lazy("kvitt.cli.case:case", "Show what happened to a case in order of time, what is accepted day by day, and what waits"),
    "topic": Lazy("kvitt.cli.topic:topic", "Print a topic's records, one to a line: partition, position, time, key, headers, value"),
    "check": Lazy("kvitt.cli.check:check", "Derive everything again from the messages and receipts that came in, and compare"),
    "dead": Lazy("kvitt.cli.dead:dead", "Look at dead letters, mend and replay them, or close them"),
    "receipt": Lazy(
        "kvitt.cli.receipt:receipt",
        "Look at, and close, receipts that could not be read or matched, that were unclear, or that contradict an earlier one",
    ),
    "order": Lazy(
        "kvitt.cli.order:order", "Look at orders that are held, unknown, contradicted by the rail or not sent yet, and act on them"
    ),
    "decision": Lazy(
        "kvitt.cli.decision:decision",
        "Look at decisions and payments that were posted over REST: what each said, who posted it, and what became of it; move their cases",
    ),
    "alarm": Lazy(
        "kvitt.cli.alarm:alarm",
        "Look at alarms: orders without receipt, contradicted by the rail, over a limit, receipts of no order, silent rails, late areas",
    ),
    "simulation": Lazy(
        "kvitt.cli.simulation:simulation",
        "Look at simulations: dry runs, calls over REST, orders that are checked before they leave; and ask the rail once more",
    ),
    "reconcile": Lazy("kvitt.cli.reconcile:reconcile", "Look at what was reported to the rail, and report what was missed"),
    "approve": Lazy("kvitt.cli.approve:approve", "Look at acts that somebody has asked for with --ask, and confirm or refuse them"),
    "login": Lazy("kvitt.cli.login:login", "Log in at the issuer: it is said where to type which code, in any browser on any machine"),
    "logout": Lazy("kvitt.cli.login:logout", "Be logged in no more on this machine"),
    "whoami": Lazy("kvitt.cli.login:whoami", "Say as whom commands act, and what this person may do"),
    "audit": Lazy("kvitt.cli.audit:audit", "See who did what, when and why, and verify that nothing of it was changed"),
    "sending": Lazy("kvitt.cli.sending:sending", "Stop and resume sending to the rail"),
    "limits": Lazy("kvitt.cli.limits:limits", "See how much sources may have paid, and set limits before those of the settings"),
    "emulator": Lazy("kvitt.cli.emulator:emulator", "Run the rail emulator, make it fail, and look into its books"),
    "db": Lazy("kvitt.cli.installation:db", "Look after the database"),
    "kafka": Lazy("kvitt.cli.kafka:kafka", "Where kvitt stands in the input topics, and where it shall begin"),
    "import": Lazy("kvitt.cli.import_:import_", "Take over what another hub, or an older system, knows"),
    "job": Lazy("kvitt.cli.job:job", "Look at scheduled jobs, which the role `scheduler` runs, and run one now"),
    "ledger": Lazy("kvitt.cli.ledger:ledger", "Look at the double-entry ledger, and make accounts"),
    "party": Lazy("kvitt.cli.party:party", "Load and show parties: their shops, contracts, payout tools and fee terms"),
    "token": Lazy(
        "kvitt.cli.installation:token", "Print a token, signed with the key of the data directory, which is made when there is none"
    ),
    "payout": Lazy("kvitt.cli.payout:payout", "Make payouts to shops, confirm or cancel them, and look at them"),
    "completion": Lazy("kvitt.cli.installation:completion", "Print the script by which a shell completes kvitt's commands and options"),
}
"""The commands that work on a database, by name; those that are a process of their own are the program's to add."""
