#!/usr/bin/env python3
"""Open a .db with the ORIGINAL library (vector-datalib 1.4.0b0) and print what it sees as tagged JSON.

  read_back.py FILE               full report (never writes to FILE)
  read_back.py --points FILE      only the points, one JSON per line (canonical form, used for digests)
  read_back.py --raw FILE         on-disk structure decoded without the library (lz4/gzip, msgpack/json)
  read_back.py --resave OUT FILE  let the original load FILE and save it to OUT, then report on OUT
  read_back.py --strict FILE      full report, exit status 1 when the original logged an error or the
                                  loaded state is inconsistent ("problems" not empty)

Tags: {"nil":null} {"bool":true} {"int":"123"} {"float_hex":"0x1.8p+0"} (nan also has "bits") {"str":"x"}
      {"bytes_b64":".."} {"array":[..]} {"map":[[k,v],..]} {"ext":[code,"b64"]} {"timestamp":["sec","ns"]}
      {"blob":"<sha256>"} for str/bytes of more than 4096 units, given in full once under "blobs".
"""
import sys, os
try:
    import vector_datalib  # noqa: F401
except ImportError:
    sys.exit("needs the original: pip install -r requirements.txt")
import asyncio, base64, gzip, hashlib, json, logging, shutil, struct, tempfile
import lz4.frame, msgpack

sys.setrecursionlimit(20000)
BIG = 4096


class Pairs(list):
    """A decoded map, kept as the list of its pairs (duplicates and unhashable keys survive)."""


class Tagger:
    def __init__(self, blobs=True):
        self.blobs = {} if blobs else None

    def _maybe_blob(self, tagged, size):
        if self.blobs is None or size <= BIG:
            return tagged
        h = hashlib.sha256(json.dumps(tagged, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
        self.blobs[h] = tagged
        return {"blob": h}

    def __call__(self, v):
        if v is None:
            return {"nil": None}
        if v is True or v is False:
            return {"bool": v}
        if isinstance(v, int):
            return {"int": str(int(v))}
        if isinstance(v, float):
            if v != v:
                return {"float_hex": "nan", "bits": struct.pack(">d", v).hex()}
            return {"float_hex": float(v).hex()}
        if isinstance(v, str):
            return self._maybe_blob({"str": str(v)}, len(v))
        if isinstance(v, (bytes, bytearray, memoryview)):
            return self._maybe_blob({"bytes_b64": base64.b64encode(bytes(v)).decode()}, len(v))
        if isinstance(v, msgpack.ExtType):
            return {"ext": [v.code, base64.b64encode(v.data).decode()]}
        if isinstance(v, msgpack.Timestamp):
            return {"timestamp": [str(v.seconds), str(v.nanoseconds)]}
        if isinstance(v, Pairs):
            return {"map": [[self(k), self(x)] for k, x in v]}
        if isinstance(v, (list, tuple)):
            return {"array": [self(x) for x in v]}
        if isinstance(v, dict):
            return {"map": [[self(k), self(x)] for k, x in v.items()]}
        return {"repr": repr(v), "type": type(v).__name__}


def cjson(o):
    return json.dumps(o, ensure_ascii=True, separators=(",", ":"))


# ---------------------------------------------------------------- on-disk structure, library not involved
def raw_decode(path):
    """-> (container, encoding, top) ; maps are Pairs."""
    b = open(path, "rb").read()
    if b[:4] == b"\x04\x22\x4d\x18":
        container, d = "lz4", lz4.frame.decompress(b)
    elif b[:2] == b"\x1f\x8b":
        container, d = "gzip", gzip.decompress(b)
    else:
        raise ValueError("unknown container " + b[:4].hex())
    if container == "gzip" and d[:1] == b"{":
        return container, "json", json.loads(d.decode("utf-8"), object_pairs_hook=Pairs)
    return container, "msgpack", msgpack.unpackb(d, raw=False, strict_map_key=False, object_pairs_hook=Pairs)


def pget(pairs, key, default=None):
    r = default
    for k, v in pairs:
        if k == key and type(k) is type(key):
            r = v  # the last one wins, as in a dict
    return r


def raw_state(path, tag):
    container, enc, top = raw_decode(path)
    db = pget(top, "database", Pairs())
    ax = pget(db, "central_axis", Pairs())
    cm = pget(ax, "coordinate_map", [])
    spaces, maps = [], []
    for name, sp in pget(db, "dimensional_spaces", Pairs()):
        spaces.append({"name": tag(name), "value_domain": [[int(i), tag(v)] for i, v in pget(sp, "value_domain", Pairs())],
                       "next_id": pget(sp, "next_id"), "fields": [k for k, _ in sp]})
    for name, m in pget(db, "coordinate_mappings", Pairs()):
        if pget(m, "coordinate_to_value_id") is not None:
            maps.append({"name": tag(name), "coordinate_to_value_id": [[int(c), i] for c, i in pget(m, "coordinate_to_value_id")],
                         "ref_counts": [[int(c), i] for c, i in pget(m, "ref_counts", Pairs())]})
        else:
            maps.append({"name": tag(name), "coordinate_to_value_id": [[int(c), i] for c, i in m], "ref_counts": None})
    return {"container": container, "encoding": enc, "metadata": tag(pget(top, "metadata")),
            "axis": {"vector_points": [tag(v) for v in pget(ax, "vector_points", [])],
                     "coordinate_map": [[tag(k), c] for k, c in cm], "coordinate_map_is": "map" if isinstance(cm, Pairs) else "list",
                     "free_slots": pget(ax, "free_slots")},
            "spaces": spaces, "mappings": maps}


def truth_points(path, tag):
    """What a correct reader should deliver: built from vector_points (not from coordinate_map), None attributes kept."""
    _, _, top = raw_decode(path)
    db = pget(top, "database", Pairs()); ax = pget(db, "central_axis", Pairs())
    vp = pget(ax, "vector_points", []); cm = pget(ax, "coordinate_map", [])
    none_at = [c for k, c in cm if k is None] if not isinstance(cm, Pairs) else []
    doms = [(n, {int(i): v for i, v in pget(s, "value_domain", Pairs())}) for n, s in pget(db, "dimensional_spaces", Pairs())]
    maps = {}
    for n, m in pget(db, "coordinate_mappings", Pairs()):
        c2v = pget(m, "coordinate_to_value_id")
        maps[cjson(tag(n))] = {int(c): i for c, i in (m if c2v is None else c2v)}
    out, dangling = [], []
    for c, k in enumerate(vp):
        if k is None and c not in none_at:
            continue
        at = []
        for n, dom in doms:
            i = maps.get(cjson(tag(n)), {}).get(c)
            if i is None:
                continue
            if i in dom:
                at.append([tag(n), tag(dom[i])])
            else:
                dangling.append([tag(n), c, i])
        out.append({"coordinate": c, "key": tag(k), "attributes": at})
    return out, dangling


# ---------------------------------------------------------------- the original library's view
class Grab(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING); self.lines = []

    def emit(self, r):
        self.lines.append(f"{r.levelname}: {r.getMessage()}")


async def original_view(path, tag, resave=None):
    assert vector_datalib.__version__ == "1.4.0-beta", vector_datalib.__version__
    g = Grab(); lg = logging.getLogger("vector_datalib"); lg.addHandler(g); lg.propagate = False
    if resave:
        shutil.copyfile(path, resave)
        async with vector_datalib.VectorDB(resave):
            pass
        path = resave
    db = vector_datalib.VectorDB(path, cache_size=0)
    svc = db._VectorDB__coordinate_service
    rep = {"reader": "vector-datalib " + vector_datalib.__version__, "file": {"size": os.path.getsize(path), "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest()}}
    rep["raised"] = None
    try:
        await svc.load_database_structure()  # what __aenter__ does; __aexit__ would rewrite the file
    except BaseException as e:
        rep["raised"] = f"{type(e).__name__}: {e}"
    if os.environ.get("RB_MEASURE"):
        rep["peak_rss_mb_after_load"] = [int(l.split()[1]) // 1024 for l in open("/proc/self/status") if l.startswith("VmHWM")][0]
    rep["errors"] = g.lines[:]
    rep["load_ok"] = not g.lines and rep["raised"] is None
    ax = db._VectorDB__central_axis
    problems = []

    def guard(name, fn, default=None):
        try:
            return fn()
        except Exception as e:
            problems.append(f"{name} raises {type(e).__name__}: {e}"); return default
    rep["len"] = guard("len", lambda: len(db))
    rep["dimensions"] = [tag(d) for d in db.get_dimensions()]
    st = guard("get_stats", lambda: svc.get_database_statistics(), {})
    rep["stats"] = {"vector_points": st.get("vector_points"), "dimensions": st.get("dimensions"),
                    "dimension_details": [[tag(k), v] for k, v in st.get("dimension_details", {}).items()],
                    "file_size_bytes": st.get("file_size_bytes"), "metadata": tag(st.get("metadata"))}
    rep["points"] = [{"coordinate": p.coordinate, "key": tag(p.value), "attributes": [[tag(k), tag(v)] for k, v in p.attributes.items()]}
                     for p in guard("get_all_vector_points", db.get_all_vector_points, [])]
    try:
        if len(ax.vector_points) > 2000000:
            raise ValueError(f"{len(ax.vector_points)} vector_points: not listed")
        rep["axis"] = {"vector_points": [tag(v) for v in ax.vector_points], "coordinate_map": [[tag(k), c] for k, c in ax.coordinate_map.items()],
                       "free_slots": ax.free_slots}
        rep["spaces"] = [{"name": tag(n), "value_domain": [[i, tag(v)] for i, v in s.value_domain.items()], "next_id": s.next_id} for n, s in db._VectorDB__dimensional_spaces.items()]
        rep["mappings"] = [{"name": tag(n), "coordinate_to_value_id": [[c, i] for c, i in m.coordinate_to_value_id.items()],
                            "ref_counts": [[i, r] for i, r in m.ref_counts.items()]} for n, m in db._VectorDB__coordinate_mappings.items()]
        # lookup() must agree with get_vector_point()
        for p in (guard("get_all_vector_points", db.get_all_vector_points, [])[:2000] if rep["load_ok"] else []):
            for d in db.get_dimensions()[:50]:
                a = await svc.lookup_by_coordinate(p.value, d); b = p.attributes.get(d)
                if cjson(tag(a)) != cjson(tag(b)):
                    problems.append(f"lookup and get_vector_point differ at {p.value!r} {d!r}")
        # structural checks
        vp, cm, fs = ax.vector_points, ax.coordinate_map, ax.free_slots
        for k, c in cm.items():
            if not (isinstance(c, int) and 0 <= c < len(vp)) or not (vp[c] == k or (vp[c] != vp[c] and k != k)):
                problems.append(f"coordinate_map entry does not match vector_points: {str(k)[:40]!r} -> {c}")
        live = sum(1 for v in vp if v is not None)
        if live != len([k for k in cm if k is not None]):
            problems.append(f"{live} live vector_points but {len(cm)} keys in coordinate_map")
        if sorted(fs, reverse=True) != fs or len(set(fs)) != len(fs):
            problems.append("free_slots not strictly descending")
        if set(fs) != {i for i, v in enumerate(vp) if v is None}:
            problems.append("free_slots are not exactly the None positions of vector_points")
        if vp and vp[-1] is None:
            problems.append("trailing tombstone in vector_points")
        names = [n for n in db.get_dimensions()]
        if names != list(db._VectorDB__coordinate_mappings):
            problems.append("dimensional_spaces and coordinate_mappings name different dimensions")
        for n, m in db._VectorDB__coordinate_mappings.items():
            sp = db._VectorDB__dimensional_spaces.get(n); dom = sp.value_domain if sp else {}
            cnt = {}
            for c, i in m.coordinate_to_value_id.items():
                cnt[i] = cnt.get(i, 0) + 1
                if not 0 <= c < len(vp) or vp[c] is None:
                    problems.append(f"dimension {n!r:.40} maps coordinate {c}, which is no live point")
                if i not in dom:
                    problems.append(f"dimension {n!r:.40} uses value id {i}, which is not in the domain")
            if cnt != m.ref_counts:
                problems.append(f"dimension {n!r:.40} ref_counts disagree with the mapping")
            if sp and dom:
                if min(dom) < 1 or max(dom) >= sp.next_id:
                    problems.append(f"dimension {n!r:.40} has ids outside 1..next_id-1")
                if set(dom) - set(cnt):
                    problems.append(f"dimension {n!r:.40} holds values no point refers to")
    except Exception as e:
        problems.append(f"inspection failed: {type(e).__name__}: {e}")
    rep["problems"] = problems[:50]
    return rep


def dump(rep, blobs):
    """JSON with one top-level field (and one point) a line."""
    if blobs:
        rep = dict(rep, blobs=blobs)
    lines = []
    for k, v in rep.items():
        if isinstance(v, list) and len(v) > 3 and k in ("points", "truth_points"):
            lines.append(json.dumps(k) + ":[\n  " + ",\n  ".join(cjson(x) for x in v) + "]")
        elif isinstance(v, dict) and "points" in v:
            lines.append(json.dumps(k) + ":" + dump(v, None))
        else:
            lines.append(json.dumps(k) + ":" + cjson(v))
    return "{" + ",\n ".join(lines) + "}"


def main(argv):
    opts, args = [], []
    it = iter(argv)
    resave = None
    for a in it:
        if a == "--resave":
            resave = next(it)
        elif a.startswith("--"):
            opts.append(a)
        else:
            args.append(a)
    if len(args) != 1:
        print(__doc__, file=sys.stderr); return 2
    tag = Tagger()
    if "--raw" in opts:
        print(dump(raw_state(args[0], tag), tag.blobs)); return 0
    if not os.path.exists(args[0]):
        print("no such file", file=sys.stderr); return 2
    if "--points" in opts:
        tag = Tagger(blobs=False)
        for p in asyncio.run(original_view(args[0], tag, resave))["points"]:
            print(cjson(p))
        return 0
    rep = asyncio.run(original_view(args[0], tag, resave))
    print(dump(rep, tag.blobs))
    return 1 if "--strict" in opts and (not rep["load_ok"] or rep["problems"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
