"""TotalSegmentator in a process of its own, without a network: run by :mod:`ablmargin.segmentation.totalsegmentator`.

Only this file calls the optional package. The processes that nnU-Net starts read it again, so they have no network either.
"""

from __future__ import annotations

import importlib
import sys

_REACHING_OUT = frozenset(
    {
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.gethostbyaddr",
        "socket.sendto",
        "socket.sendmsg",
    }
)


def refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook that lets Python reach processes on this machine by their sockets' paths, and no address.

    Raises
    ------
    PermissionError
        If an address is looked up or connected to.
    """
    if event not in _REACHING_OUT:
        return
    address = arguments[0] if event.startswith("socket.get") else arguments[1]
    if event.startswith("socket.get") or isinstance(address, tuple):
        raise PermissionError(f"the network is switched off here, so {address!r} can't be reached")


def main(image: str, result: str, task: str, roi: str, device: str) -> None:
    """Segment an image file by one task, cut down to a region of interest unless its name is empty."""
    api = importlib.import_module("totalsegmentator.python_api")
    api.totalsegmentator(
        image,
        result,
        ml=True,
        task=task,
        roi_subset=[roi] if roi else None,
        device=device,
        quiet=True,
        nr_thr_saving=1,
    )


if __name__ in {"__main__", "__mp_main__"}:
    sys.addaudithook(refuse_network)
if __name__ == "__main__":
    main(*sys.argv[1:])
