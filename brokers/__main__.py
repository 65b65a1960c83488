"""Runs the brokers until Ctrl-C: `python -m brokers`, or only those that are named (`python -m brokers artemis`).

`python -m brokers demo` runs the demo over them instead, with its options behind.
"""

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from brokers.artemis import Artemis
from brokers.broker import Broker, is_free
from brokers.demo import demo
from brokers.java import JARS, BrokerFailed, BrokerUnavailable
from brokers.kafka import Kafka

_KAFKA_PORT, _STOMP_PORT = 9092, 61613


def main(names: Sequence[str]) -> int:
    """Starts the brokers, prints their addresses, and stops them at SIGINT or SIGTERM; 1 when one cannot be run."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if names[:1] == ["demo"]:
            return demo(names[1:])
        with ExitStack() as running:
            for name in names or ("kafka", "artemis"):
                running.callback(_started(name).stop)
            print("running; Ctrl-C stops them", flush=True)
            signal.pause()
    except (BrokerUnavailable, BrokerFailed) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped")
    return 0


def _started(name: str) -> Broker:
    """The broker by that name, on its usual port where that is free. Its data is kept from run to run."""
    data = JARS / "data" / name
    if name == "kafka":
        kafka = Kafka(data, _usual(_KAFKA_PORT))
        print(f"KVITT_TEST_KAFKA={kafka.start()}", flush=True)
        return kafka
    if name == "artemis":
        artemis = Artemis(data, _usual(_STOMP_PORT))
        host, port = artemis.start()
        print(f"KVITT_TEST_STOMP={host}:{port}", flush=True)
        return artemis
    raise BrokerUnavailable(f"no broker is called {name}; there are kafka and artemis")


def _usual(port: int) -> int:
    return port if is_free(port) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
