"""Results of any number of cases, read back from disk as rows or as a table for notebooks."""
