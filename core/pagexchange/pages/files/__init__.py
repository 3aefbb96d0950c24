"""Files that people have of who accesses which page, or of how memory lies: all become one table."""

from pagexchange.pages.files.read import read
from pagexchange.pages.files.smallfile import packaged, save
from pagexchange.pages.files.table import ACCESS
from pagexchange.pages.files.trace import Trace

__all__ = ["ACCESS", "Trace", "packaged", "read", "save"]
