"""The objects that are judged, and the partners they are judged with."""
