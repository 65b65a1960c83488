"""With how many examples a property is tried: as many as it asks for, or KVITT_EXAMPLES for all (few in `make quick`, many over night).

Up to the usual number the examples are the same in every run: a red test is red for everybody. More than that are drawn by chance.
"""

import os

from hypothesis import settings

ASKED = int(os.environ.get("KVITT_EXAMPLES", "0"))
USUAL = 100


def tried(usual: int = USUAL, *, least: int = 1) -> settings:
    """Settings for a property that is usually tried with so many examples, and never with fewer than `least`."""
    return settings(max_examples=max(ASKED, least) if ASKED else usual, derandomize=usual >= ASKED)
