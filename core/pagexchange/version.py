"""The version: of the code that runs, whatever metadata are installed beside it. The build takes it from here."""

from typing import Final

VERSION: Final = "0.1.0"
