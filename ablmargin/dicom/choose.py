"""Which of the series in a folder is meant; never a silent guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from ablmargin.dicom.checks import check_series, merged
from ablmargin.dicom.discover import Discovery, SeriesFiles
from ablmargin.dicom.stack import MIN_SLICES
from ablmargin.dicom.text import attribute, printable
from ablmargin.dicom.walk import REMEDIES
from ablmargin.errors import Caution, DicomError, Fault, UsageError

_FOREIGN = {
    "NOT_DICOM": "no DICOM",
    "ARCHIVE_UNSAFE": "archive",
    "NOT_CT": "DICOM of another kind",
    "GEOM_MISSING_TAG": "image without a place in the patient",
}
_UNOPENED = {
    "FILE_TRUNCATED": "DICOM file that ends too early",
    "FILE_MALFORMED": "damaged DICOM file",
    "RESOURCE_LIMIT": "file too large to be a slice",
    "PIXEL_FORMAT": "DICOM file of floating-point pixels",
    "FILE_UNREADABLE": "file that can't be opened",
    "FILE_MISSING": "file that isn't there",
    "OUTSIDE_FOLDER": "place outside the folder",
    "NOT_A_FILE": "link, pipe or device",
    "FOLDER_UNREADABLE": "folder that can't be opened",
}


def choice(
    discovery: Discovery, wanted: str | None, accepted: Collection[str] = ()
) -> tuple[SeriesFiles, tuple[Caution, ...]]:
    """The series that is meant by its number or UID, or the only one that can serve; and a word if others can't.

    Raises
    ------
    DicomError
        If none can serve, with all reasons; SERIES_AMBIGUOUS or GEOM_MIXED_ORIENTATION, with a list, if several can, or if one
        SeriesInstanceUID holds several volumes.
    UsageError
        If a series is chosen that isn't there.
    """
    if not discovery.series:
        raise DicomError(*_nothing_found(discovery))
    if wanted is not None:
        return _named(discovery, wanted), ()
    if len(discovery.series) == 1:
        return discovery.series[0], ()
    outcomes = [(candidate, check_series(candidate, accepted).faults) for candidate in discovery.series]
    usable = [candidate for candidate, faults in outcomes if not faults]
    if not usable:
        raise DicomError(*dict.fromkeys(fault for _, faults in outcomes for fault in faults))
    if len(usable) > 1 or usable[0].split_by:
        raise DicomError(_ambiguous(discovery, usable))
    return usable[0], _others_told(usable[0], discovery.series)


def skipped_cautions(discovery: Discovery) -> list[Caution]:
    """FILES_SKIPPED for what isn't a CT slice, FILE_UNREADABLE for what can't be known to be none; counts, no names."""
    counts = Counter(file.code for file in discovery.skipped)
    foreign, unopened = (
        ", ".join(f"{counts[code]} × {kind}" for code, kind in kinds.items() if counts[code])
        for kinds in (_FOREIGN, _UNOPENED)
    )
    cautions = []
    if foreign:
        message = f"what isn't a CT slice was left out: {foreign}; inspect lists it"
        cautions.append(Caution(code="FILES_SKIPPED", message=message))
    if unopened:
        cautions.append(Caution(code="FILE_UNREADABLE", message=f"not read: {unopened}; inspect lists it"))
    return cautions


def _named(discovery: Discovery, wanted: str) -> SeriesFiles:
    found = [series for series in discovery.series if wanted in {str(series.number), series.series_uid}]
    if not found:
        raise UsageError(f"{discovery.source} has no series {printable(wanted)!r}, but {_listed(discovery.series)}")
    if len(found) > 1:
        raise DicomError(_ambiguous(discovery, found))
    return found[0]


def _nothing_found(discovery: Discovery) -> list[Fault]:
    """Why there is no CT series: images of another kind, damaged files, or nothing of the sort."""
    remedy = "Give a folder of CT images, or a volume file (.nii, .nii.gz, .nrrd, .mha)."
    told = [file for file in discovery.skipped if file.code != "NOT_DICOM"]
    if told:
        faults = [
            Fault(
                code=file.code,
                source=file.source,
                found=file.reason,
                expected="CT slices, a file each or all in one (Enhanced CT)",
                remedy=REMEDIES.get(file.code, remedy),
                attribute=file.attribute,
            )
            for file in told
        ]
        return list(merged(faults)[:10])
    count = len(discovery.skipped)
    found = f"{count} other file{'' if count == 1 else 's'}"
    return [Fault(code="NO_IMAGE", source=discovery.source, found=found, expected="a CT series", remedy=remedy)]


def _ambiguous(discovery: Discovery, usable: Sequence[SeriesFiles]) -> Fault:
    """The same words whether a folder holds several series or one series holds several volumes."""
    listed = [series for series in discovery.series if series in usable or series.series_uid == usable[0].series_uid]
    of_one_series = len({series.series_uid for series in listed}) == 1
    keyword = listed[0].split_by if of_one_series else "SeriesInstanceUID"
    is_by_plane = keyword == "ImageOrientationPatient"
    return Fault(
        code="GEOM_MIXED_ORIENTATION" if is_by_plane else "SERIES_AMBIGUOUS",
        source=discovery.source,
        found=f"{len(listed)} CT volumes{' in one series' if of_one_series else ''}: {_listed(listed)}",
        expected="one, or the choice of one",
        remedy="Choose with --pre-series or --post-series, by the number that inspect prints.",
        attribute=attribute(keyword),
    )


def _others_told(chosen: SeriesFiles, series: Sequence[SeriesFiles]) -> tuple[Caution, ...]:
    others = [str(one.number) for one in series if one is not chosen and len(one.headers) >= MIN_SLICES]
    if not others:
        return ()
    message = f"series {chosen.number} was taken because no other can serve: not {', '.join(others)}; inspect tells why"
    return (Caution(code="SERIES_CHOSEN", message=message),)


def _listed(series: Sequence[SeriesFiles]) -> str:
    return "; ".join(_in_words(one) for one in series[:20])


def _in_words(series: SeriesFiles) -> str:
    first = series.headers[0]
    stack = check_series(series).stack
    parts = [f"{len(series.headers)} slices" + (f" at {stack.geometry.spacing_mm[0]:.2f} mm" if stack else "")]
    parts += [f"{series.split_by} {series.part}"] if series.split_by else []
    parts += [f"kernel {printable(first.texts['ConvolutionKernel'])[:32]}"] if first.texts["ConvolutionKernel"] else []
    parts += [f"at {first.clock}"] if first.clock else []
    return f"{series.number} {series.description[:64]!r} ({', '.join(parts)})"
