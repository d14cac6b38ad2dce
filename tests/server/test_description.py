"""The server's description of itself: whatever it allows is answered as it says."""

from __future__ import annotations

import contextlib

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

import eyesight

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
OPERATIONS = ["POST /predict", "GET /classes", "GET /health", "GET /ready", "GET /metrics"]


def test_every_request_that_it_allows_is_answered_as_it_says(digits_run: eyesight.Run) -> None:
    bounds = settings(
        max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None
    )
    with eyesight.serve(digits_run.path, timeout=2) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        assert sorted(operation.label for operation in operations) == sorted(OPERATIONS)
        for operation in operations:
            for mode in schemathesis.GenerationMode:

                @bounds
                @given(case=operation.as_strategy(generation_mode=mode))
                def ask(case: schemathesis.Case) -> None:
                    case.call_and_validate(checks=CHECKS)

                with contextlib.suppress(Unsatisfiable):  # an address without parameters can hardly be asked wrongly
                    ask()
