"""What a clause is, and the verdict on a call: which clause it broke, and who was at fault."""
