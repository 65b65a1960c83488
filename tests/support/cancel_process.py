"""A process that sends requests to cancel orders, and may be killed on the way."""

from support.rail_kits import ToyKit
from support.rail_site import REQUESTS, Site


def send_requests(conninfo: str) -> None:
    """Sends what waits on a database, to its end."""
    site = Site(conninfo, ToyKit(conninfo, REQUESTS))
    site.send_requests()
    site.close()
