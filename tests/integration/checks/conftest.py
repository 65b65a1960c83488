"""A stage of cases, for tests of `kvitt check`."""

from collections.abc import Iterator

import pytest

from support.case_histories import CaseStage


@pytest.fixture
def hub(database: str) -> Iterator[CaseStage]:
    hub = CaseStage(database)
    yield hub
    hub.close()
