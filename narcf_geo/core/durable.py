"""A Zarr store on disk whose chunks outlast a power cut as soon as they are written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from zarr.storage import LocalStore

from narcf_geo.core.files import to_disk

if TYPE_CHECKING:
    from pathlib import Path

    from zarr.core.buffer import Buffer


class DurableStore(LocalStore):
    """A local store, written; see `narcf_geo.core.stores.growing`."""

    _known: frozenset[Path] = frozenset()
    """Folders that are on the disk themselves."""

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file, and return when the disk has it."""
        await super().set(key, value)
        await asyncio.to_thread(self._to_disk, self.root / key)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write a file, and return when the disk has it."""
        super().set_sync(key, value)
        self._to_disk(self.root / key)

    def _to_disk(self, file: Path) -> None:
        to_disk(file)
        to_disk(file.parent)
        if file.parent not in self._known:  # it may be new in the folders above
            for folder in file.parent.parents:
                to_disk(folder)
                if folder == self.root:
                    break
            self._known |= {file.parent}
