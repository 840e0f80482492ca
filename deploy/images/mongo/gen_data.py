#!/usr/bin/env python3
"""Generates people in the source's test.users, as the run book types it. `ferry gen-data --help` lists the options."""

import os
import sys

os.execvp("ferry", ["ferry", "gen-data", *sys.argv[1:]])
