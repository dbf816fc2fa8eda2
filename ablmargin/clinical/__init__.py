"""What a margin means for the patient: thresholds with their sources, verdicts, directions in words."""
