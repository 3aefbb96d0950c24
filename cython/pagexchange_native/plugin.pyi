"""The base class of native plug-in objects, and the check of their tables."""

class NativeObject:
    """A plug-in's answer in compiled code: a table of functions, a name and what was chosen."""

    name: str
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def describe(self) -> dict[str, str]: ...

def check_table(native: object) -> str: ...
