"""Processes of a server under test, by the kernel's table: whose they are, never by a name that others have as well."""
import collections
import os

Process = collections.namedtuple("Process", "pid state parent group session title")


def every():
    """All there are; what ends meanwhile is left out, and what only waits to be reaped has no title."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f:
                state, parent, group, session = f.read().rsplit(")", 1)[1].split()[:4]
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                title = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        yield Process(int(entry), state, int(parent), int(group), int(session), title)


def of_session(leader):
    return [p for p in every() if p.session == leader]


def of_group(leader):
    return [p for p in every() if p.group == leader]


def children(pid):
    return [p for p in every() if p.parent == pid]


def below(pid):
    """Children, their children, and so on."""
    by_parent = collections.defaultdict(list)
    for process in every():
        by_parent[process.parent].append(process)
    found, todo = [], [pid]
    while todo:
        of_it = by_parent[todo.pop()]
        found += of_it
        todo += [p.pid for p in of_it]
    return found


def tree(pid):
    """Numbers: its own, and those below it."""
    return [pid, *(p.pid for p in below(pid))]


def by_title(processes):
    """{title: [pid]}"""
    found = collections.defaultdict(list)
    for process in processes:
        found[process.title].append(process.pid)
    return dict(found)


def descriptors(pid):
    """How many it has open; 0: it has gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def resident_kb(pid):
    """0: it has gone."""
    try:
        with open(f"/proc/{pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
    except OSError:
        return 0
