"""Features and verdicts become trees, judged forward in time, and what is promised of them."""
