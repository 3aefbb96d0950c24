"""What makes a frame a page: the page cache, address spaces, their page tables."""
