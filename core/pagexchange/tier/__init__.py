"""The question that exchange is for: a full fast node, hot pages on the slow one, and what to do. Each way plays it."""
