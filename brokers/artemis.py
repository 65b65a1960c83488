"""One real ActiveMQ Artemis broker that speaks STOMP."""

import socket
from collections.abc import Sequence
from pathlib import Path

from brokers.broker import HOST, Broker
from brokers.java import HERE

_ANSWER_SECONDS = 2.0
_HELLO = b"CONNECT\naccept-version:1.2\nhost:localhost\n\n\x00"


class Artemis(Broker):
    """A broker on 127.0.0.1 with its data under `data_dir`; it lets everybody in, and makes queues when they are named.

    `options`: more settings of its STOMP port as `;name=value`, such as those of TLS.
    """

    name = "artemis"
    heap = "256m"

    def __init__(self, data_dir: Path, port: int = 0, options: str = "") -> None:
        super().__init__(data_dir, port)
        self._options = options

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of STOMP."""
        return HOST, self.port

    def start(self) -> tuple[str, int]:
        """Starts it and returns host and port of STOMP when it serves.

        Raises BrokerFailed when it does not start, BrokerUnavailable when it can't.
        """
        self._start()
        return self.address

    def restart(self) -> tuple[str, int]:
        """Starts it again after `stop` or `kill`, with the same address and data."""
        self.stop()
        return self.start()

    def _configure(self) -> None:
        settings = self.data_dir / "etc" / "broker.xml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text((HERE / "artemis-broker.xml").read_text().format(port=self.port, options=self._options))

    def _main(self) -> Sequence[str]:
        return ["org.apache.activemq.artemis.core.server.embedded.Main", str(self.data_dir)]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(self.address, _ANSWER_SECONDS) as connection:
                if "sslEnabled=true" in self._options:
                    # It is not ours to say whom its users trust; that it listens must do.
                    return True
                connection.sendall(_HELLO)
                return connection.recv(9) == b"CONNECTED"
        except OSError:
            return False
