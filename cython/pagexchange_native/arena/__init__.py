"""The region: its format's parts, frames, references, slots, the file behind it."""
