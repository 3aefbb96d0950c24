"""Values: what the files say, layouts of a flags word, sizes, statuses. Nothing here knows a plug-in or an arena."""
