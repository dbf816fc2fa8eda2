"""What people and programs read of a finished case: result.json, tables, surfaces, pictures, report.html."""

DISCLAIMER = "Research software. Not a medical device: not for diagnosis or treatment decisions."
