from __future__ import annotations

import pytest

from qgjob.api.drivers import SimulateSettings
from testrunner.drivers.simulate import choose

SETTINGS = SimulateSettings.model_validate(
    {
        "outcomes": [
            {"test": "checkout/*", "outcomes": ["failed", "passed"]},
            {"test": "*.spec.ts", "outcomes": ["infrastructure"]},
        ]
    }
)


@pytest.mark.parametrize(
    ("test", "outcomes"),
    [
        ("checkout/pay.spec.ts", ["failed", "passed"]),
        ("login.spec.ts", ["infrastructure"]),
        ("login.yaml", ["passed"]),
    ],
)
def test_the_first_pattern_that_matches_decides(test: str, outcomes: list[str]) -> None:
    assert choose(SETTINGS, test).outcomes == outcomes
