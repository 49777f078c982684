"""Keeps one connection to libvirtd and measures what it is asked, a JSON line each way."""
import json
import os
import sys
import time

import libvirt

libvirt.registerErrorHandler(lambda *_: None, None)
state = {}


def connect(pid):
    for _ in range(100):
        try:
            state["connection"] = libvirt.open("storage:///system")
            state["pid"] = int(pid)
            return {"ok": 1}
        except libvirt.libvirtError:
            time.sleep(0.1)
    raise SystemExit("no connection to libvirtd")


def pool(name, directory):
    xml = f"<pool type='dir'><name>{name}</name><target><path>{directory}</path></target></pool>"
    made = state["connection"].storagePoolCreateXML(xml, 0)
    state[name] = made
    return {"volumes": made.numOfVolumes()}


def ms(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def refresh(name):
    return {"ms": ms(lambda: state[name].refresh(0))}


def refresh_and_records(name):
    def work():
        state[name].refresh(0)
        for volume in state[name].listAllVolumes():
            volume.info()
    return {"ms": ms(work)}


def info(name, count):
    volume = state[name].listAllVolumes()[0]
    times = sorted(ms(volume.info) for _ in range(int(count)))
    return {"p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)]}


def create(name, count):
    times = []
    for index in range(int(count)):
        xml = f"<volume><name>bench-{index}.vhd</name><capacity>67108864</capacity><allocation>0</allocation><target><format type='vpc'/></target></volume>"
        times.append(ms(lambda: state[name].createXML(xml, 0)))
    times.sort()
    return {"ms": times[len(times) // 2]}


def memory():
    with open(f"/proc/{state['pid']}/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {"mib": kib / 1024}


def close(name):
    state[name].destroy()
    return {"ok": 1}


calls = {f.__name__: f for f in (connect, pool, refresh, refresh_and_records, info, create, memory, close)}
for line in sys.stdin:
    name, *words = json.loads(line)
    print(json.dumps(calls[name](*words)), flush=True)
