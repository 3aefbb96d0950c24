"""Who serves: a strategies file read and checked, the installed plug-ins found, a strategy built from them."""
