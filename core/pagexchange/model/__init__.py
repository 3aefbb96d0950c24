"""Values: what the files say, the layouts of a flags word, sizes, statuses. Nothing here knows a plug-in or an arena."""
