"""What is made of a mask that a network or a program found: the part that was pointed at, and what to think of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ablmargin.errors import Caution
from ablmargin.geometry import Array, Geometry, Triple
from ablmargin.segmentation.plausible import truncation, volume_doubts
from ablmargin.segmentation.protocol import Prompt, Segmentation
from ablmargin.volume import LabelMask, Structure

LARGEST_STRAY_SHARE = 0.05
"""A liver with a larger share of its volume apart from its largest piece is doubted."""

_TOUCHING = np.ones((3, 3, 3), np.bool_)


def proposed(
    mask: LabelMask, prompt: Prompt, lesions: Sequence[LabelMask] = (), cautions: tuple[Caution, ...] = ()
) -> Segmentation:
    """A mask as a proposal, with its doubts.

    Parameters
    ----------
    mask : LabelMask
        All that was found of the structure. May be empty.
    prompt : Prompt
        Of a tumor or a zone, the connected pieces that hold an inside point are kept, and no piece that holds an outside
        point. All pieces are kept if nothing was pointed at.
    lesions : sequence of LabelMask
        On the mask's grid; joined with a liver.
    cautions : sequence of Caution
        What is known of the mask already.
    """
    if mask.structure is Structure.LIVER:
        return _proposed_liver(mask, lesions, cautions)
    chosen = mask if prompt.is_empty and not prompt.outside_mm else _pointed_at(mask, prompt)
    return Segmentation(mask=chosen, doubts=_lesion_doubts(mask, chosen), cautions=cautions)


def _proposed_liver(mask: LabelMask, lesions: Sequence[LabelMask], cautions: tuple[Caution, ...]) -> Segmentation:
    if mask.is_empty:
        return Segmentation(mask=mask, doubts=("No liver was found.",), cautions=cautions)
    voxels = mask.voxels.copy()
    for lesion in lesions:
        voxels |= lesion.voxels
    mask = replace(mask, voxels=voxels)
    cut = truncation(mask)
    told = cautions if cut is None else (*cautions, cut)
    return Segmentation(mask=mask, doubts=_liver_doubts(mask, is_cut=cut is not None), cautions=told)


def _liver_doubts(mask: LabelMask, *, is_cut: bool) -> tuple[str, ...]:
    doubts = [*volume_doubts(mask.volume_ml, is_cut=is_cut)]
    pieces, count = ndimage.label(mask.voxels, structure=_TOUCHING)
    stray = 1.0 - np.bincount(pieces.ravel())[1:].max() / np.count_nonzero(mask.voxels)
    if stray > LARGEST_STRAY_SHARE:
        doubts.append(f"{stray:.0%} of the liver lie apart from its largest piece, in {count - 1} piece(s).")
    return tuple(doubts)


def _pointed_at(mask: LabelMask, prompt: Prompt) -> LabelMask:
    pieces, count = ndimage.label(mask.voxels, structure=_TOUCHING)
    inside = set(range(1, count + 1)) if prompt.is_empty else _pieces_at(prompt.all_inside_mm, pieces, mask.geometry)
    wanted = inside - _pieces_at(prompt.outside_mm, pieces, mask.geometry)
    return replace(mask, voxels=np.isin(pieces, sorted(wanted)))


def _pieces_at(points_mm: Sequence[Triple], pieces: Array, geometry: Geometry) -> set[int]:
    """Numbers of the pieces at points; 0, what is no piece, left out."""
    if not points_mm:
        return set()
    index = np.rint(geometry.indices_at(points_mm)).astype(int)
    return set(pieces[tuple(index.T)].tolist()) - {0}


def _lesion_doubts(found: LabelMask, chosen: LabelMask) -> tuple[str, ...]:
    if found.is_empty:
        return (f"No {found.structure} was found.",)
    if chosen.is_empty:
        return (f"No {found.structure} was found where the point is, though {found.volume_ml:.1f} ml elsewhere.",)
    return ()
