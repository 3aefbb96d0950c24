"""The built-in plug-ins."""
