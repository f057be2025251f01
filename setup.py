"""Everything else stands in pyproject.toml, which cannot both find packages and rename the folder `cli`."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["hero", "hero.*"]), "hero_cli"])
