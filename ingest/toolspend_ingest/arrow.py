"""Arrow's compute functions, which are made as pyarrow is imported, so that no type checker knows them."""

from __future__ import annotations

from typing import Any, Final

import pyarrow.compute

pc: Final[Any] = pyarrow.compute
