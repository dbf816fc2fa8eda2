"""Many cases, each in a process of its own, to one table; a case that fails is a row, not a crash."""
