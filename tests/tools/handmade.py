#!/usr/bin/env python3
"""The script that a site would write by hand: read sip.conf, resolve the
templates, write one file per phone. A yardstick, not a product.

    handmade.py SIPCONF OUTDIR [--changed-only]
"""
import glob, os, re, sys, time

HEAD = re.compile(r"^\[([^\]]+)\](?:\(([^)]*)\))?")
MAC = re.compile(r";\s*MAC\s*=\s*([0-9A-Fa-f:.\-]+)")

def lines(path, depth=0):
    base = os.path.dirname(path)
    with open(path, encoding="utf-8") as f:
        block = False
        for l in f:
            if block:
                block = "--;" not in l
                continue
            if l.startswith(";--") and "--;" not in l:
                block = True
                continue
            if l.startswith("#include") and depth < 10:
                name = l.split(None, 1)[1].split(";")[0].strip().strip('"')
                for p in sorted(glob.glob(os.path.join(base, name))):
                    yield from lines(p, depth + 1)
                continue
            yield l

def tag(section, found):
    if found and section is not None:
        section["mac"] = re.sub("[^0-9A-F]", "", found.group(1).upper())

def parse(path):
    secs, cur = {}, None
    for l in lines(path):
        if l.startswith(";"):
            tag(cur, MAC.match(l))
            continue
        l = l.strip()
        if not l:
            continue
        m = HEAD.match(l)
        if m:
            name, opt = m.group(1), m.group(2) or ""
            opts = [o.strip() for o in opt.split(",") if o.strip()]
            if "+" in opts and name in secs:
                cur = secs[name]
                continue
            cur = secs[name] = {"kv": {}, "mac": None, "tpl": "!" in opts}
            tag(cur, MAC.search(l))
            for o in opts:
                if o in secs:
                    cur["kv"].update(secs[o]["kv"])
            continue
        if cur is not None and "=" in l:
            k, v = l.split("=", 1)
            cur["kv"][k.strip()] = re.split(r"(?<!\\);", v.lstrip(">"), 1)[0].strip()
    return secs

def cnf(name, s):
    kv = s["kv"]
    cid = kv.get("callerid", name)
    disp = cid.split('"')[1] if '"' in cid else cid
    return (f"line1_name: \"{name}\"\nline1_authname: \"{name}\"\nline1_password: \"{kv.get('secret', '')}\"\n"
            f"line1_shortname: \"{name}\"\nline1_displayname: \"{disp}\"\nproxy1_address: \"10.0.0.1\"\n"
            f"proxy1_port: 5060\nphone_label: \"{disp}\"\nmessages_uri: \"*97\"\n"
            + "".join(f"# {k}={v}\n" for k, v in kv.items()))

def main():
    src, out = sys.argv[1:3]
    changed_only = "--changed-only" in sys.argv
    t0 = time.perf_counter()
    secs = parse(src)
    t1 = time.perf_counter()
    os.makedirs(out, exist_ok=True)
    n = w = 0
    for name, s in secs.items():
        if not s["mac"] or s["tpl"]:
            continue
        n += 1
        p = os.path.join(out, f"SIP{s['mac']}.cnf")
        new = cnf(name, s).encode()
        if changed_only:
            try:
                with open(p, "rb") as f:
                    if f.read() == new:
                        continue
            except FileNotFoundError:
                pass
        with open(p + ".tmp", "wb") as f:
            f.write(new)
        os.replace(p + ".tmp", p)
        w += 1
    t2 = time.perf_counter()
    print(f"sections {len(secs)} phones {n} written {w} parse {t1-t0:.3f} s write {t2-t1:.3f} s")

if __name__ == "__main__":
    main()
