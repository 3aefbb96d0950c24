"""The XArray: tree, store, cursor, Python face."""
