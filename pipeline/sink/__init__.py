"""Results into the places people already have: one adapter a file, each in a process of its own."""
