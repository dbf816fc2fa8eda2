"""The phase that a description names, in five languages, and what isn't to be believed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ablmargin.dicom.phase import phase_in_header

NAMED = {
    "unenhanced": [
        "Leber_nativ_5.0",
        "Abdomen ohne KM",
        "ohne Kontrast",
        "sans injection",
        "sin contraste",
        "senza mdc",
        "pre contrast",
        "PRE-CONTRAST",
        "no contrast",
        "non_contrast",
        "noncontrast",
        "NON-ENHANCED",
        "w/o iv",
        "WITHOUT IV CONTRAST",
        "VNC",
        "PLAIN ABDOMEN",
        "fase basale",
    ],
    "arterial": [
        "LIVER_ART_3.0",
        "art\u00e9riel",
        "fase arteriosa",
        "hepatic_arterial",
        "LATE ARTERIAL",
        "arterielle Phase",
    ],
    "portal venous": [
        "ABD_VEN_2.0",
        "ven\u00f6se Phase",
        "veno\u0308se Phase",
        "ven\u00f6s",
        "temps veineux",
        "fase venosa",
        "Phase portale",
        "PVP 2.5",
        "portal-venous",
    ],
    "delayed": ["Sp\u00e4tphase", "Spaetphase", "tardif", "fase tardiva", "15 min delay", "equilibrium"],
    None: [
        "",
        "PLAIN ABDOMEN with contrast",
        "LIVER WITH AND WITHOUT CONTRAST",
        "UNENHANCED + PV",
        "PVP not native",
        "portal-venous vs arterial",
        "No arterial, venous only",
        "Portable chest",
        "Vena cava",
        "START 5.0",
        "Liver C+",
        "advent",
        "apart",
    ],
}


@pytest.mark.parametrize(("phase", "description"), [(phase, text) for phase, texts in NAMED.items() for text in texts])
def test_what_a_description_names(phase, description):
    for written in (description, description.upper(), description.replace(" ", "_")):
        assert phase_in_header(SimpleNamespace(texts={"SeriesDescription": written})) == phase
