"""Engines for Python, measured in a process of their own that the comparison program starts.

    python engines.py version ENGINE
    python engines.py load ENGINE PATH
    python engines.py sum|count|rows ENGINE PATH THREADS

`version` prints that of the engine. `load` says `ready` once everything is imported, makes a database of the records that come on stdin, and
says `done` when it is durable. The others print an object in JSON: `times`, in seconds, and `answers`.
"""

import json
import os
import struct
import sys
import time

# Calls of a process, and for how long it goes on, at least.
CALLS = 3
SECONDS = 0.2

# Rows of a record batch, an Arrow file's and a row group's.
ROWS = 1 << 17


def received(stream):
    """Arrow record batches of the records on a stream, and their schema.

    First the names of the cities, as a line in JSON. Then chunks: the number of rows and the bytes of all names, as two integers of 8 bytes; keys and
    scores, 8 bytes each; where names start, and the last one ends, 4 bytes each; numbers of cities, 2 bytes each; ages; the names.
    """
    import numpy
    import pyarrow

    cities = pyarrow.array(json.loads(stream.readline()), pyarrow.string())
    schema = pyarrow.schema(
        [
            ("key", pyarrow.uint64()),
            ("age", pyarrow.uint8()),
            ("city", pyarrow.dictionary(pyarrow.int16(), pyarrow.string())),
            ("name", pyarrow.string()),
            ("score", pyarrow.float64()),
        ]
    )

    def batches():
        while head := stream.read(16):
            rows, length = struct.unpack("<QQ", head)
            column = lambda kind, count=rows: numpy.frombuffer(stream.read(count * numpy.dtype(kind).itemsize), kind)
            key, score, starts = column("u8"), column("f8"), column("i4", rows + 1)
            city, age = column("i2"), column("u1")
            names = pyarrow.StringArray.from_buffers(
                rows, pyarrow.py_buffer(starts), pyarrow.py_buffer(stream.read(length))
            )
            city = pyarrow.DictionaryArray.from_arrays(pyarrow.array(city), cities)
            columns = [pyarrow.array(key), pyarrow.array(age), city, names, pyarrow.array(score)]
            yield pyarrow.RecordBatch.from_arrays(columns, schema=schema)

    return schema, batches()


def with_plain_cities(schema, batches):
    """The same with cities as text, for engines that choose dictionaries by themselves."""
    import pyarrow

    place = schema.get_field_index("city")
    plain = schema.set(place, pyarrow.field("city", pyarrow.string()))
    return plain, (batch.set_column(place, plain.field(place), batch["city"].cast(pyarrow.string())) for batch in batches)


def sync(path):
    """Has the system write a file or directory to the disk."""
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


class DuckDb:
    """A table without an index, in DuckDB's own file."""

    package = "duckdb"
    file = "records.duckdb"

    def __init__(self, path, threads):
        self.connection = self.connect(path, read_only=True, config={"threads": threads})

    @staticmethod
    def connect(path, **options):
        import duckdb

        connection = duckdb.connect(path, **options)
        # It would go to stdout, where answers go.
        connection.execute("SET enable_progress_bar = false")
        return connection

    @staticmethod
    def load(path, schema, batches):
        import pyarrow

        schema, batches = with_plain_cities(schema, batches)
        records = pyarrow.RecordBatchReader.from_batches(schema, batches)
        connection = DuckDb.connect(path)
        connection.register("received", records)
        connection.execute("CREATE TABLE records AS SELECT * FROM received")
        connection.unregister("received")
        connection.close()

    def sum(self):
        return self.connection.execute("SELECT sum(score) FROM records").fetchone()[0]

    def count(self):
        return self.connection.execute("SELECT city, count(*) FROM records GROUP BY city").fetchall()

    def rows(self, wanted):
        self.connection.register("wanted", wanted)
        return self.connection.sql("SELECT * FROM records SEMI JOIN wanted USING (key)").to_arrow_table()

    @staticmethod
    def dictionary(rows):
        return rows.to_pydict()


class Arrow:
    """An Arrow IPC file without compression, mapped to memory. Cities have a dictionary."""

    package = "pyarrow"
    file = "records.arrow"

    def __init__(self, path, threads):
        import pyarrow
        import pyarrow.compute

        pyarrow.set_cpu_count(threads)
        self.is_in, self.add = pyarrow.compute.is_in, pyarrow.compute.sum
        self.threads = threads
        self.table = pyarrow.ipc.open_file(pyarrow.memory_map(path)).read_all()

    @staticmethod
    def load(path, schema, batches):
        import pyarrow

        with pyarrow.OSFile(path, "wb") as file, pyarrow.ipc.new_file(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)

    def sum(self):
        return self.add(self.table["score"]).as_py()

    def count(self):
        groups = self.table.group_by("city", use_threads=self.threads > 1)
        counts = groups.aggregate([([], "count_all")]).to_pydict()
        return list(zip(counts["city"], counts["count_all"]))

    def rows(self, wanted):
        return self.table.filter(self.is_in(self.table["key"], value_set=wanted["key"]))

    @staticmethod
    def dictionary(rows):
        return rows.to_pydict()


class Polars:
    """A Parquet file as pyarrow writes it by default (Snappy, dictionaries), read anew by each call."""

    package = "polars"
    file = "records.parquet"

    def __init__(self, path, threads):
        # It asks for this when it is imported.
        os.environ["POLARS_MAX_THREADS"] = str(threads)
        import polars

        self.polars = polars
        self.records = polars.scan_parquet(path)

    @staticmethod
    def load(path, schema, batches):
        import pyarrow.parquet

        schema, batches = with_plain_cities(schema, batches)
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            for batch in batches:
                writer.write_batch(batch, row_group_size=ROWS)

    def sum(self):
        return self.records.select(self.polars.col("score").sum()).collect().item()

    def count(self):
        return self.records.group_by("city").len().collect().rows()

    def rows(self, wanted):
        keys = self.polars.from_arrow(wanted)["key"]
        return self.records.filter(self.polars.col("key").is_in(keys.implode())).collect()

    @staticmethod
    def dictionary(rows):
        return rows.to_dict(as_series=False)


ENGINES = {"duckdb": DuckDb, "arrow": Arrow, "polars": Polars}


def timed(call, *arguments):
    start = time.perf_counter()
    answer = call(*arguments)
    return answer, time.perf_counter() - start


def repeated(call):
    """Times of several calls, after one that is not timed and gives the answer."""
    answer, times, start = call(), [], time.perf_counter()
    while len(times) < CALLS or time.perf_counter() - start < SECONDS:
        times.append(timed(call)[1])
    return {"times": times, "answers": answer}


def rows_of(engine, keys):
    """Times of a call for each list of keys but the first, and the rows of each, as [key, age, city, name, score]."""
    import pyarrow

    times, answers = [], []
    for wanted in keys:
        table, elapsed = timed(engine.rows, pyarrow.table({"key": pyarrow.array(wanted, pyarrow.uint64())}))
        times.append(elapsed)
        columns = engine.dictionary(table)
        answers.append(list(zip(*(columns[name] for name in ("key", "age", "city", "name", "score")))))
    return {"times": times[1:], "answers": answers}


def main(command, name, directory=None, threads=None):
    engine = ENGINES[name]
    if command == "version":
        # What all of them need.
        import numpy
        import pyarrow

        print(__import__(engine.package).__version__)
        return
    path = os.path.join(directory, engine.file)
    if command == "load":
        __import__(engine.package)
        schema, batches = received_once_ready(sys.stdin.buffer)
        engine.load(path, schema, batches)
        sync(path)
        sync(directory)
        print("done", flush=True)
        return
    opened = engine(path, int(threads))
    if command == "rows":
        result = rows_of(opened, json.load(sys.stdin))
    else:
        result = repeated(getattr(opened, command))
    json.dump(result, sys.stdout)


def received_once_ready(stream):
    import numpy
    import pyarrow.parquet

    print("ready", flush=True)
    return received(stream)


main(*sys.argv[1:])
