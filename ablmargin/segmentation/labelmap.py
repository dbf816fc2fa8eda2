"""Several structures on one grid that are neither liver, tumor nor zone: segments of the liver, vessels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ablmargin.geometry import Array, BoolArray, Geometry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMap:
    """Which of several named structures each voxel belongs to.

    Parameters
    ----------
    labels : ndarray of uint8, shape (slices, rows, columns)
        0 where there is none of them; a locked copy is kept.
    geometry : Geometry
    names : mapping
        From label to name.
    method : str
        Name and version of what found them.

    Examples
    --------
    >>> grid = Geometry(shape=(1, 1, 3), spacing_mm=(5, 1, 1), origin_mm=(0, 0, 0))
    >>> segments = LabelMap(labels=np.array([[[0, 4, 4]]]), geometry=grid, names={3: "3", 4: "4"}, method="by hand")
    >>> segments.voxels_of("4").tolist()
    [[[False, True, True]]]
    """

    labels: NDArray[np.uint8]
    geometry: Geometry
    names: Mapping[int, str]
    method: str

    def __post_init__(self) -> None:
        if np.shape(self.labels) != self.geometry.shape:
            raise ValueError(f"labels have shape {np.shape(self.labels)}, their geometry {self.geometry.shape}")
        unnamed = set(np.unique(self.labels).tolist()) - {0} - set(self.names)
        if unnamed:
            raise ValueError(f"labels without a name: {sorted(unnamed)}")
        locked: Array = np.array(self.labels, np.uint8)
        locked.setflags(write=False)
        object.__setattr__(self, "labels", locked)
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def voxels_of(self, name: str) -> BoolArray:
        """The voxels of one structure; KeyError if there is none of that name."""
        label = {name: label for label, name in self.names.items()}[name]
        return np.asarray(self.labels == label)
