"""`python -m bench [--only NAME] [--quick] [--table FILE] [--against REV]`: runs the benchmarks, or in turns with those of another tree."""

import argparse
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from bench import (
    against,
    catch_up,
    chained,
    check,
    consistency,
    console,
    decisions,
    derivation,
    end_to_end,
    hanging_rail,
    kafka_relay,
    large_case,
    large_store,
    latency,
    ledger,
    ledger_size,
    memory,
    over_brokers,
    payouts,
    reconciliation,
    simulation,
    simulations,
    submit,
    thrift,
    workers,
)
from bench.place import Place, place
from bench.report import REPORTED
from bench.size import FULL, QUICK, Size
from bench.table import table

BENCHMARKS: MappingProxyType[str, Callable[[Place, Size], None]] = MappingProxyType(
    {
        "derivation": derivation.run,
        "chained": chained.run,
        "simulation": simulation.run,
        "simulations": simulations.run,
        "hanging_rail": hanging_rail.run,
        "submit": submit.run,
        "latency": latency.run,
        "end_to_end": end_to_end.run,
        "workers": workers.run,
        "decisions": decisions.run,
        "large_case": large_case.run,
        "large_store": large_store.run,
        "memory": memory.run,
        "check": check.run,
        "consistency": consistency.run,
        "reconciliation": reconciliation.run,
        "kafka_relay": kafka_relay.run,
        "over_brokers": over_brokers.run,
        "catch_up": catch_up.run,
        "ledger": ledger.run,
        "ledger_size": ledger_size.run,
        "thrift": thrift.run,
        "payouts": payouts.run,
        "console": console.run,
    }
)


def main() -> None:
    """Parses the command line and runs what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="run this one; may be given more than once")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that everything runs, says little about speed")
    parser.add_argument("--against", metavar="REV", help="run this tree and that revision in turns, and print the ratios")
    parser.add_argument("--table", metavar="FILE", type=Path, help="write the figures as a table, when all are measured")
    asked = parser.parse_args()
    names = asked.only or list(BENCHMARKS)
    if asked.against:
        against.compare(asked.against, names, ["--quick"] if asked.quick else [])
        return
    with place() as here:
        for name in names:
            BENCHMARKS[name](here, QUICK if asked.quick else FULL)
    if asked.table:
        asked.table.write_text(table(REPORTED), encoding="utf-8")


if __name__ == "__main__":
    main()
