"""The clauses as test methods, one class for each subject."""
