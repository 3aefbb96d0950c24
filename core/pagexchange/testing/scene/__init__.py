"""An arena with pages whose every field is known, and ways to look at it."""
