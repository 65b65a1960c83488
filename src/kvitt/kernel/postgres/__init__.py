"""The embedded PostgreSQL: a server in a data directory, run as a child process, with one owner at a time (design §10). Linux only.

DATA/postgres.lock     held by the owner for its life; says who it is and how to connect
DATA/postgres/cluster  PostgreSQL's own data
DATA/postgres/run      the Unix socket (elsewhere when this path is too long for a socket)
DATA/postgres/log      what the server says
"""

from kvitt.kernel.postgres.ownership import running_server
from kvitt.kernel.postgres.server import EmbeddedServer

__all__ = ["EmbeddedServer", "running_server"]
