"""Everything that an analysis loads sooner or later, in one import; it must start no thread."""

import ablmargin.batch.work
import ablmargin.dicom.rtstruct
import ablmargin.dicom.seg  # noqa: F401
