"""The local Ark with all faults of the real one, for tests.

Run it alone with `python -m tests.fake_ark`; `control.py` says how to control it over HTTP.
"""

from tests.fake_ark.ark import FakeArk
from tests.fake_ark.control import SteeredArk
from tests.fake_ark.faults import AFTER_THE_END, Fault
from tests.fake_ark.table import FAULTS

__all__ = ["AFTER_THE_END", "FAULTS", "FakeArk", "Fault", "SteeredArk"]
