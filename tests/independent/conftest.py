"""Gateways, and clients made from the protos: those of the outside-in suite. The verifier uses none."""

import importlib.util
import sys
from pathlib import Path

CLIENTS = Path(__file__).parents[1] / "clients/python"
sys.path[:0] = [str(CLIENTS), str(Path(__file__).parent)]
_spec = importlib.util.spec_from_file_location("clients_conftest", CLIENTS / "conftest.py")
_suite = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_suite)

pytest_configure = _suite.pytest_configure
pki = _suite.pki
rsa_pki = _suite.rsa_pki
start = _suite.start
