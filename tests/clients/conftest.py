"""What dask-jobqueue's own tests of Slurm find in its repository, and not in its wheel."""

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "env(name): a test of this scheduler")


@pytest.fixture
def loop():
    """The loop of whoever asks."""
    return None
