"""What the results of many cases tell together: who was measured, which margins, and how they go with local progression."""
