"""What people and programs read of a finished case: result.json, tables, surfaces, pictures, report.html."""
