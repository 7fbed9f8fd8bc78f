#!/usr/bin/env python3
"""How long the original, vector-datalib 1.4.0b0, takes to open a file and to save it again.

  speed.py FILE COPY    opens FILE, saves it to COPY, and prints both times in seconds
"""
import asyncio
import shutil
import sys
import time

import vector_datalib


async def main(file, copy):
    # The original writes to the file that it has opened.
    shutil.copyfile(file, copy)
    start = time.perf_counter()
    async with vector_datalib.VectorDB(copy) as database:
        opened = time.perf_counter()
        count = len(database)
        before = time.perf_counter()
        assert await database.save()
        saved = time.perf_counter()
    assert count > 0, "the original could not open the file"
    print(f"{opened - start:.3f} {saved - before:.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
