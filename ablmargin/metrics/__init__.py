"""The signed margin over the tumor surface, and what follows from it. Knows points, surfaces and masks; no files."""
