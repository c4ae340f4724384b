"""How good it is: readers of gold data, metrics, and the intervals that keep them honest."""
