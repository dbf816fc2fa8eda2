"""DICOM CT series: finding, checking and loading them; writing simulated ones."""
