"""The cases that the digital phantom can play."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ablmargin.simulation.lesions import LesionPlan

DEFAULT_SCENARIO = "thin-margin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a simulated case is meant to show.

    Parameters
    ----------
    name, description : str
    lesions : tuple of LesionPlan
    phase_pre, phase_post : str
        Keys of ``ablmargin.simulation.ct.PHASES``.
    pre_slice_mm, post_slice_mm : float
        Slice spacing, equal to the slice thickness.
    breathing_mm : float
        Size of the liver's shift along the body; its sign is drawn.
    bending_mm : float
        Root-mean-square displacement by bending.
    contraction : float
        Share by which ablated tissue shrank toward the center of the zone.
    noise_pre_hu, noise_post_hu : float
        Standard deviation of the noise.
    """

    name: str
    description: str
    lesions: tuple[LesionPlan, ...]
    phase_pre: str = "portal"
    phase_post: str = "late-portal"
    pre_slice_mm: float = 2.0
    post_slice_mm: float = 2.5
    breathing_mm: float = 14.0
    bending_mm: float = 3.0
    contraction: float = 0.0
    noise_pre_hu: float = 12.0
    noise_post_hu: float = 14.0


def _one(radius_mm: float, mam_mm: float, *, subcapsular: bool = False) -> tuple[LesionPlan, ...]:
    return (LesionPlan(tumor_radius_mm=radius_mm, nominal_mam_mm=mam_mm, subcapsular=subcapsular),)


_ALL = (
    Scenario(
        name="wide-margin",
        description="A small metastasis with 12 mm of ablated tissue around it",
        lesions=_one(7.0, 12.0),
    ),
    Scenario(
        name="thin-margin",
        description="Covered on every slice, but with a margin of only 2.5 mm on one side",
        lesions=_one(9.0, 2.5),
    ),
    Scenario(
        name="residual-tumor",
        description="The zone misses the tumor's edge by 2 mm",
        lesions=_one(10.0, -2.0),
    ),
    Scenario(
        name="subcapsular",
        description="A tumor just below the capsule, 6 mm of ablated tissue on the side of the liver",
        lesions=_one(8.0, 6.0, subcapsular=True),
    ),
    Scenario(
        name="two-lesions",
        description="Two metastases, one ablated widely, the other barely",
        lesions=(
            LesionPlan(tumor_radius_mm=7.0, nominal_mam_mm=7.0),
            LesionPlan(tumor_radius_mm=6.0, nominal_mam_mm=1.5),
        ),
    ),
    Scenario(
        name="thick-slices",
        description="Slices of 5 mm after ablation",
        lesions=_one(9.0, 5.0),
        post_slice_mm=5.0,
    ),
    Scenario(
        name="arterial-post",
        description="Portal venous before, arterial after ablation: hepatic veins are dark there",
        lesions=_one(9.0, 5.0),
        phase_post="arterial",
    ),
    Scenario(
        name="no-contrast",
        description="No contrast agent after ablation",
        lesions=_one(9.0, 5.0),
        phase_post="unenhanced",
    ),
    Scenario(
        name="shrunken-zone",
        description="The ablated tissue shrank by a tenth, as after microwaves",
        lesions=_one(9.0, 4.0),
        contraction=0.12,
    ),
    Scenario(
        name="deep-breath",
        description="Very different breathing before and after, and much bending",
        lesions=_one(9.0, 4.0),
        breathing_mm=26.0,
        bending_mm=5.0,
    ),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.name: scenario for scenario in _ALL})
