"""The one thing that pyproject.toml cannot say: where the headers of the installed pagexchange are."""

from setuptools import Extension, setup

import pagexchange_native

folders = [pagexchange_native.get_include()]
setup(ext_modules=[Extension("native_answers.native", ["native_answers/native.pyx"], include_dirs=folders)])
