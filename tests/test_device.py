"""Where the arithmetic runs."""

from __future__ import annotations

import pytest

from eyesight.device import choose_device
from eyesight.errors import UsageError


def test_a_device_that_holds_no_numbers_is_refused():
    with pytest.raises(UsageError, match="device: meta is not usable"):
        choose_device("meta")
