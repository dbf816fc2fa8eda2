"""Our own engine: liver surface and texture together, by Gauss-Newton steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ablmargin.registration.symmetric import PyramidPair
from ablmargin.registration.transform import SplineTransform


class GaussNewton:
    """The default."""

    packages: tuple[str, ...] = ()
    needs_one_phase = False

    def require_installed(self) -> None:
        """Nothing can be missing."""

    def deform_both_ways(self, pair: PyramidPair, *, threads: int) -> tuple[SplineTransform, SplineTransform]:
        """The two runs beside each other if two threads are allowed."""
        rest = pair.levels(slice(pair.levels_done, None))
        with ThreadPoolExecutor(max_workers=min(threads, 2)) as pool:
            runs = [pool.submit(rest.forward, begun=pair.begun), pool.submit(pair.backward)]
            forward, backward = (run.result() for run in runs)
        return forward, backward

    def method(self, texture: str) -> str:
        return f"free-form deformation on liver surface and {texture} texture, Gauss-Newton"
