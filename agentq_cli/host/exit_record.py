"""How the exit record of a run is written: into space that was reserved before its agent started, so that it can be
written even if that fills the disk."""

from __future__ import annotations

import errno
import os

from agentq_cli.base.context import suppress
from agentq_cli.host import record_files as files
from agentq_cli.host.records import Exit

EXIT_SPACE = 4096
UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
LONGEST_ERROR = 500


class ExitSlot:
    """The space for an exit record, reserved before there is anything to record. It is of use once."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = f"{directory}/exit"
        self._reserved = f"{directory}/{files.RESERVED_EXIT}"
        self._name = f"{self._path}.{os.getpid()}"
        self._descriptor = os.open(self._name, files.FOR_WRITING, 0o600)
        try:
            _allocate(self._descriptor, 0)
        except OSError:
            self.release()
            raise

    def disk_full(self) -> bool:
        """Whether the file system has no free block left for the run."""
        try:
            _allocate(self._descriptor, EXIT_SPACE)
        except OSError as error:
            return error.errno in (errno.ENOSPC, errno.EDQUOT)
        return False

    def place(self) -> None:
        """Give the space the name under which it is found. The caller syncs the directory before anything can end."""
        os.rename(self._name, self._reserved)
        self._name = self._reserved

    def write(self, record: Exit) -> None:
        """Write the record, durably, and put it in its place. Raises OSError, also if the agent has taken that away."""
        data = files.encode(shortened(record).document())
        try:
            # Into the block that is reserved: no reader takes a part of it, or zeros behind it, for the record.
            os.pwrite(self._descriptor, data, 0)
            written = os.fstat(self._descriptor)
            if written.st_size > len(data):
                os.ftruncate(self._descriptor, len(data))
            os.fsync(self._descriptor)
            if not os.path.samestat(written, os.lstat(self._name)):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._name)
            os.rename(self._name, self._path)
            if self._name != self._reserved:
                files.sync_directory(self._directory)
        finally:
            os.close(self._descriptor)

    def release(self) -> None:
        """Release the space: there will be no record."""
        os.close(self._descriptor)
        with suppress(FileNotFoundError):
            os.unlink(self._name)


def shortened(record: Exit) -> Exit:
    """The record with its errors short enough for the space that is reserved for it."""
    if record.error is not None:
        record = record._replace(error=record.error[:LONGEST_ERROR])
    if record.check is not None and record.check.error is not None:
        record = record._replace(check=record.check._replace(error=record.check.error[:LONGEST_ERROR]))
    return record


def _allocate(descriptor: int, offset: int) -> None:
    from agentq_cli.host import kernel  # which commands need not load

    try:
        # Without changing its size: to shorten a file later would wait for the disk.
        kernel.reserve(descriptor, offset, offset + EXIT_SPACE)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        try:
            os.posix_fallocate(descriptor, offset, EXIT_SPACE)  # The C library writes zeros.
        except OSError as failed:
            if failed.errno not in UNSUPPORTED:
                raise
