"""What dead processes leave: their slots are recovered, and derived data can be made anew."""
