"""Where stores of tests stand: in memory where there is room for them, because a commit waits for the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH = 2 << 30  # bytes; containers are often given 64 MiB
ROOM = str(_MEMORY) if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH else None
