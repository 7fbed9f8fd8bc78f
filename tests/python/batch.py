#!/usr/bin/env python3
"""Let the original load many files, and load and save each of them, in one process.

Reads lines of FILE, a tab and OUT from stdin. Writes a JSON object for each: what read_back.py --strict finds wrong with FILE and, once the original has
saved it to OUT, with that (load errors and inconsistencies; none if all is well), and how many points it sees.
"""
import asyncio, json, sys
import read_back


def view(path, resave=None):
    report = asyncio.run(read_back.original_view(path, read_back.Tagger(), resave))
    raised = [report["raised"]] if report["raised"] else []
    return report["len"], raised + report["errors"] + report["problems"]


for line in sys.stdin:
    path, out = line.rstrip("\n").split("\t")
    points, wrong = view(path)
    resaved_points, wrong_resaved = view(path, out)
    print(json.dumps({"points": points, "resaved_points": resaved_points, "wrong": wrong + wrong_resaved}), flush=True)
