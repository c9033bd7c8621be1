"""A decision written out as a Plan: every field is read from one value of one room."""
