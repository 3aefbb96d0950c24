"""Compiled plug-ins that are broken."""
