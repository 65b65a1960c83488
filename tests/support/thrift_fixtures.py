"""Our interface definitions as Apache Thrift's compiler makes Python of them, for tests with its library."""

import shutil
import sys
from collections.abc import Iterator

import pytest

from support.thrift_stage import compiled


@pytest.fixture(scope="session")
def thrift_generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The compiled modules can be imported."""
    if shutil.which("thrift") is None:
        pytest.skip("needs Apache Thrift's compiler: apt-get install thrift-compiler")
    directory = str(compiled(tmp_path_factory.mktemp("thrift")))
    sys.path.insert(0, directory)
    yield
    sys.path.remove(directory)
