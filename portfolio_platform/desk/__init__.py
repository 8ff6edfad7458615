"""The trader's desk: plans made from the home's data, approved, executed by a person, reported back and checked; with a memory."""
