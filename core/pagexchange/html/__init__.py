"""One run as one HTML file: `pagexchange report`."""
