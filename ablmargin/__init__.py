"""The 3-D ablative margin of liver metastases, from the CT before and after ablation.

The public names; each is loaded when it is first used, so that ``import ablmargin`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablmargin.agreement.load import Agreement, compare
    from ablmargin.analysis import Analysis
    from ablmargin.case import Case, Exam, Lesion, RasMutation
    from ablmargin.clinical.criteria import Verdict
    from ablmargin.errors import AblMarginError, InputError
    from ablmargin.geometry import Geometry
    from ablmargin.intake import CaseRequest, open_case
    from ablmargin.loading import load_image, load_mask
    from ablmargin.maskfiles import save_mask, save_masks
    from ablmargin.notebook import analyze
    from ablmargin.pipeline import Settings, align, measure_masks
    from ablmargin.report.casefolder import write_case_folder
    from ablmargin.result import CaseResult
    from ablmargin.results.frame import load_results
    from ablmargin.segmentation.protocol import Prompt
    from ablmargin.segmenting import segment_missing
    from ablmargin.volume import LabelMask, Structure, Volume

_HOMES = {
    "ablmargin.agreement.load": ("Agreement", "compare"),
    "ablmargin.analysis": ("Analysis",),
    "ablmargin.case": ("Case", "Exam", "Lesion", "RasMutation"),
    "ablmargin.clinical.criteria": ("Verdict",),
    "ablmargin.errors": ("AblMarginError", "InputError"),
    "ablmargin.geometry": ("Geometry",),
    "ablmargin.intake": ("CaseRequest", "open_case"),
    "ablmargin.loading": ("load_image", "load_mask"),
    "ablmargin.maskfiles": ("save_mask", "save_masks"),
    "ablmargin.notebook": ("analyze",),
    "ablmargin.pipeline": ("Settings", "align", "measure_masks"),
    "ablmargin.report.casefolder": ("write_case_folder",),
    "ablmargin.result": ("CaseResult",),
    "ablmargin.results.frame": ("load_results",),
    "ablmargin.segmentation.protocol": ("Prompt",),
    "ablmargin.segmenting": ("segment_missing",),
    "ablmargin.volume": ("LabelMask", "Structure", "Volume"),
}

__all__ = [
    "AblMarginError",
    "Agreement",
    "Analysis",
    "Case",
    "CaseRequest",
    "CaseResult",
    "Exam",
    "Geometry",
    "InputError",
    "LabelMask",
    "Lesion",
    "Prompt",
    "RasMutation",
    "Settings",
    "Structure",
    "Verdict",
    "Volume",
    "align",
    "analyze",
    "compare",
    "load_image",
    "load_mask",
    "load_results",
    "measure_masks",
    "open_case",
    "save_mask",
    "save_masks",
    "segment_missing",
    "write_case_folder",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
