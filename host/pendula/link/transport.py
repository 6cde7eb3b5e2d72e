"""Transports: how bytes reach a device and come back."""

import abc
from typing import Self

__all__ = ["AbstractTransport"]


class AbstractTransport(abc.ABC):
    """A byte link to one device. Use as a context manager, or close it.

    Notes
    -----
    Bytes may be lost or damaged on the way but arrive in order; :class:`pendula.link.client.Client`
    copes with the rest. Waiting is measured in clock cycles of the device: what it works on is
    known in cycles, and only the transport knows how long a cycle takes.
    """

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Send bytes."""

    @abc.abstractmethod
    def read(self, cycles: int) -> bytes:
        """Return the bytes that have arrived, and wait for the first of them.

        Parameters
        ----------
        cycles : int
            Clock cycles of work that the device may need before it answers, on top of the
            latency of the transport itself.

        Returns
        -------
        bytes
            Empty once nothing came in that time, or as soon as the transport knows that nothing
            will: a simulator sees that the device is idle.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Release the link."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
