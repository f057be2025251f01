"""Finds the packages; everything else is in pyproject.toml, which cannot both find packages and rename a folder."""

from setuptools import find_packages, setup

HERO = find_packages(include=["hero", "hero.*"])
CLI = [f"hero_{package}" for package in find_packages(include=["cli", "cli.*"])]

setup(packages=[*HERO, *CLI])
