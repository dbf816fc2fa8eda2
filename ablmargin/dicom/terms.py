"""Coded values that may be quoted in messages: the standard's own terms. In their place a file may say anything, a name too."""

from __future__ import annotations

from collections.abc import Collection, Iterable

OTHER = "another term"

MODALITIES = frozenset(
    {
        "ANN",
        "AR",
        "ASMT",
        "AU",
        "BDUS",
        "BI",
        "BMD",
        "CFM",
        "CR",
        "CT",
        "CTPROTOCOL",
        "DG",
        "DMS",
        "DOC",
        "DX",
        "ECG",
        "EEG",
        "EMG",
        "EOG",
        "EPS",
        "ES",
        "FID",
        "GM",
        "HC",
        "HD",
        "IO",
        "IOL",
        "IVOCT",
        "IVUS",
        "KER",
        "KO",
        "LEN",
        "LS",
        "M3D",
        "MG",
        "MR",
        "NM",
        "OAM",
        "OCT",
        "OP",
        "OPM",
        "OPT",
        "OPTBSV",
        "OPTENF",
        "OPV",
        "OSS",
        "OT",
        "PA",
        "PLAN",
        "POS",
        "PR",
        "PT",
        "PX",
        "REG",
        "RESP",
        "RF",
        "RG",
        "RTDOSE",
        "RTIMAGE",
        "RTINTENT",
        "RTPLAN",
        "RTRAD",
        "RTRECORD",
        "RTSEGANN",
        "RTSTRUCT",
        "RWV",
        "SEG",
        "SM",
        "SMR",
        "SR",
        "SRF",
        "STAIN",
        "TEXTUREMAP",
        "TG",
        "US",
        "VA",
        "XA",
        "XAPROTOCOL",
        "XC",
    }
)
"""PS3.3 C.7.3.1.1.1."""

PHOTOMETRICS = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "XYB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
)
"""PS3.3 C.7.6.3.1.2."""

RESCALE_TYPES = frozenset({"ED", "EDW", "HU", "HU_MOD", "MGML", "OD", "PCT", "US", "Z_EFF"})
"""PS3.3 C.11.1.1.2."""

IMAGE_TYPES = frozenset(
    {
        "ADDITION",
        "ANGIO",
        "ATTENUATION",
        "AVERAGE",
        "AXIAL",
        "CARDIAC",
        "CARDIAC_CASCORE",
        "CARDIAC_CTA",
        "CARDIAC_GATED",
        "CORONAL",
        "CURVED",
        "DERIVED",
        "ENERGY_PROP_WT",
        "FILTERED",
        "FLUOROSCOPY",
        "LOCALIZER",
        "MEDIAN",
        "MONOCHROMATIC",
        "MPR",
        "NONE",
        "OBLIQUE",
        "ORIGINAL",
        "OTHER",
        "PERFUSION",
        "PRIMARY",
        "REFERENCE",
        "REFORMATTED",
        "RESAMPLED",
        "REST",
        "SAGITTAL",
        "SECONDARY",
        "STATIC",
        "STRESS",
        "TEXTURE",
        "VMI",
        "VOLUME",
    }
)
"""PS3.3 C.7.6.1.1.2, C.8.2.1.1.1 and C.8.16.1, and words that scanners write for a reformat; projections and calculated
values have lists of their own."""


def term(text: str, known: Collection[str]) -> str:
    """The text if it is one of the known terms, else that it is another.

    Examples
    --------
    >>> term("MR", MODALITIES), term("DOE^JANE", MODALITIES)
    ('MR', 'another term')
    """
    return text if text in known else OTHER


def terms(texts: Iterable[str], known: Collection[str]) -> list[str]:
    """The texts that are known terms, each once, and at last that there are others.

    Examples
    --------
    >>> terms(["DERIVED", "DOE^JANE", "DERIVED"], IMAGE_TYPES)
    ['DERIVED', 'another term']
    """
    told = dict.fromkeys(term(text, known) for text in texts)
    return sorted(told, key=OTHER.__eq__)
