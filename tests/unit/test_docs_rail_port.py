"""The example in the documentation of the port is the toy rail that passes the suite, to the letter."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_smallest_rail_of_the_documentation_is_the_one_that_is_tried() -> None:
    page = (ROOT / "docs" / "rail-port.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    source = (ROOT / "tests" / "support" / "toy_rail.py").read_text("utf-8")
    assert source.partition('"""\n\n')[2].partition("\n\nclass ToyBank")[0] == code, "nothing of it is left out, what it imports neither"
