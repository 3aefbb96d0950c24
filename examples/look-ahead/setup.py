"""The one thing that pyproject.toml cannot say: where the headers of the installed pagexchange are."""

from setuptools import Extension, setup

import pagexchange_native

native = Extension("look_ahead.native", ["look_ahead/native.pyx"], include_dirs=[pagexchange_native.get_include()])
setup(ext_modules=[native])
