"""The country whose agencies sign, and a folder for each test."""

import pytest
from command import Pki
from sheets import handwriting, page_objects, seal, table


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """P-256 keys: made in no time."""
    return Pki.make(tmp_path_factory.mktemp("country") / "pki")


@pytest.fixture(scope="session")
def rsa_pki(tmp_path_factory):
    return Pki.make(tmp_path_factory.mktemp("rsa") / "pki", rsa=True)


@pytest.fixture
def letter(tmp_path):
    """A PDF with one page."""
    path = tmp_path / "letter.pdf"
    path.write_bytes(table(page_objects()))
    return path


@pytest.fixture
def images(tmp_path):
    """A seal and a signature as PNG files."""
    (tmp_path / "seal.png").write_bytes(seal())
    (tmp_path / "name.png").write_bytes(handwriting())
    return {"seal": tmp_path / "seal.png", "name": tmp_path / "name.png"}
