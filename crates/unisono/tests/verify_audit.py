#!/usr/bin/env python3
"""Checks a file of `unisono audit export`, written apart from the product and with nothing but
Python's own library: every bundle's form, body and node's signature, every log from its beginning,
every record's chain and agent's signature, every proof that a log forked, and that the node which
the first line names closed the file as it is; and that no log ends before where another node than its
own has borne witness of it.

    verify_audit.py FILE [NODE]   prints what was found; exit code 0 only if all of it is good

Without NODE, the key that must have closed the file, whoever has shortened a file and signed it
again is not found: the node that is printed is the one to compare.

Formats: docs/protocol.md, "Bytes" and "Audit". Of a record's body nothing is read but what bears
witness of logs and what removes nodes.
"""
import base64
import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "core/tests/vectors"))
from verify_tokens import Bad, Reader, derive, signed  # noqa: E402

KIND = "unisono/audit/v1"
NOTHING = bytes(32)
REMOVE, WITNESS = 30, 36


class Wrong(Exception):
    """A rule that is broken."""


def need(holds, what):
    if not holds:
        raise Wrong(what)


def header(r):
    start = r.at
    read = {
        "version": r.take(1)[0], "cluster": r.take(16), "orchestra": r.take(16), "node": r.take(32),
        "started": r.number(64), "nonce": r.number(64), "seq": r.number(64), "prev": r.take(32),
        "stamp": r.number(64), "body": r.take(32),
    }
    read["digest"] = derive("unisono/bundle/v1", r.data[start:r.at])
    return read


def body(data):
    r = Reader(data)
    agents = r.many(lambda: r.take(32))
    records = r.many(lambda: {
        "agent": r.number(32), "seq": r.number(64), "prev": r.take(32), "stamp": r.number(64),
        "body": r.octets(), "signature": r.take(64),
    })

    def document():
        if r.number(32):
            r.number(32)
        r.number(32)
        return r.many(lambda: r.take(32))

    r.many(document)
    r.many(r.octets)
    r.many(lambda: (r.number(64), r.number(64), r.number(64)))
    r.end()
    return agents, records


def record_digest(head, agent, record):
    return derive("unisono/record/v1", b"".join([
        head["cluster"], head["orchestra"], agent, head["node"],
        struct.pack("<QQQ", head["started"], head["nonce"], record["seq"]), record["prev"], record["body"],
    ]))


def action(data):
    """The number of a record's action, and the reader behind it."""
    r = Reader(data)
    r.take(2)
    r.number(64)
    r.number(32)
    r.maybe(lambda: r.take(16))
    r.many(lambda: (r.take(64), r.number(64), r.number(64), r.number(64), r.take(32)))
    r.maybe(lambda: r.take(32))
    return r.number(32), r


class Audit:
    def __init__(self, line, closed_by=None):
        first = json.loads(line)
        need(first.get("kind") == KIND, "no export begins like this")
        need(closed_by in (None, first["node"]), f"node {first['node']} exported it")
        self.cluster, self.node = bytes.fromhex(first["cluster"]), bytes.fromhex(first["node"])
        self.logs, self.chains, self.over = {}, {}, NOTHING
        self.there, self.heads, self.forked, self.removed = {}, {}, {}, {}
        self.home = derive("unisono/orchestra/v1", self.cluster + b"cluster")[:16]
        self.bundles = self.records = self.inert = self.proofs = 0
        self.ended = False

    def take(self, line):
        need(not self.ended, "something follows the end")
        line = json.loads(line)
        if "bundle" in line:
            self.bundle(base64.b64decode(line["bundle"], validate=True))
        elif "proof" in line:
            self.proof(base64.b64decode(line["proof"], validate=True))
        else:
            self.end(line)

    def bundle(self, data):
        r = Reader(data)
        head = header(r)
        signature, inner = r.take(64), r.octets()
        r.end()
        need(head["version"] == 1 and head["cluster"] == self.cluster, "another version or cluster")
        need(derive("unisono/bundle-body/v1", inner) == head["body"], "another body than was signed")
        need(signed(head["node"], head["digest"], signature), "the node has not signed this bundle")
        self.bundles += 1
        self.chain(head["digest"])
        log = (head["orchestra"], head["node"], head["started"], head["nonce"])
        seq, prev, stamp = self.logs.get(log, (0, NOTHING, 0))
        need(head["seq"] == seq + 1 and head["prev"] == prev, "not the next bundle of its log")
        agents, records = body(inner)
        last = stamp
        for record in records:
            need(last < record["stamp"] <= head["stamp"], "stamps do not rise")
            last = record["stamp"]
            self.record(log, head, agents[record["agent"]], record)
        need(head["stamp"] > stamp, "stamps do not rise")
        self.logs[log] = (head["seq"], head["digest"], head["stamp"])
        self.there.setdefault(log, []).append(head["digest"])

    def record(self, log, head, agent, record):
        self.records += 1
        seq, prev, broken = self.chains.get((log, agent), (0, NOTHING, False))
        follows = record["seq"] == seq + 1 and record["prev"] == prev
        digest = record_digest(head, agent, record)
        good = follows and not broken and signed(agent, digest, record["signature"])
        self.inert += not good
        if follows:
            self.chains[(log, agent)] = (record["seq"], digest, broken or not good)
        elif record["seq"] > seq:
            self.chains[(log, agent)] = (seq, prev, True)
        if good and head["orchestra"] == self.home:
            self.says(head, agent, record["body"])

    def says(self, carrier, agent, data):
        try:
            self.told(carrier, agent, *action(data))
        except (Bad, IndexError):
            pass  # It is no record, and says nothing.

    def told(self, carrier, agent, number, r):
        if number == WITNESS and agent == carrier["node"]:
            for head, signature in r.many(lambda: (header(r), r.take(64))):
                log = (head["orchestra"], head["node"], head["started"], head["nonce"])
                known = self.heads.get(log, {"seq": 0})["seq"]
                news = head["seq"] > known and head["cluster"] == self.cluster and head["node"] != agent
                if news and signed(head["node"], head["digest"], signature):
                    self.heads[log] = head
        elif number == REMOVE:
            node = r.take(32)
            ends = dict(r.many(lambda: ((r.take(16), node, r.number(64), r.number(64)), r.number(64))))
            known = self.removed.get(node)
            if known is not None:
                ends = {log: min(end, known[log]) for log, end in ends.items() if log in known}
            self.removed[node] = ends

    def ends(self):
        """What logs end before where others held them; how many do since their node was removed."""
        missing, excused = [], 0
        for log, head in self.heads.items():
            if self.forked.get(log, head["seq"] + 1) <= head["seq"]:
                continue
            if log[1] in self.removed and self.removed[log[1]].get(log, 0) < head["seq"]:
                excused += 1
                continue
            there = self.there.get(log, [])
            if len(there) < head["seq"] or there[head["seq"] - 1] != head["digest"]:
                missing.append(log)
        return missing, excused

    def proof(self, data):
        r = Reader(data)
        (one, first), (other, second) = [(header(r), r.take(64)) for _ in range(2)]
        r.end()
        self.chain(derive("unisono/fork-proof/v1", data))
        place = ("orchestra", "node", "started", "nonce", "seq")
        need(all(one[name] == other[name] for name in place), "two places are no fork")
        need(one["cluster"] == other["cluster"] == self.cluster, "of another cluster")
        need(one["digest"] < other["digest"], "one bundle, or the wrong way round")
        need(signed(one["node"], one["digest"], first), "the node has not signed the one")
        need(signed(one["node"], other["digest"], second), "the node has not signed the other")
        self.proofs += 1
        log = (one["orchestra"], one["node"], one["started"], one["nonce"])
        self.forked[log] = min(one["seq"], self.forked.get(log, one["seq"]))

    def chain(self, digest):
        self.over = derive(KIND, self.cluster + self.node + self.over + digest)

    def end(self, line):
        self.ended = True
        closed = (line["bundles"], bytes.fromhex(line["digest"]))
        need(closed == (self.bundles, self.over), "it was closed with other bundles")
        signature = base64.b64decode(line["signature"], validate=True)
        need(signed(self.node, self.over, signature), "the exporting node has not signed this")


def main():
    number = 1
    try:
        with open(sys.argv[1], encoding="utf-8") as lines:
            audit = Audit(next(lines, ""), *sys.argv[2:3])
            for number, line in enumerate(lines, 2):
                audit.take(line)
        need(audit.ended, "the last line is missing")
        missing, excused = audit.ends()
        need(not missing, f"{len(missing)} logs end before where others held them")
    except (Wrong, Bad, ValueError, KeyError, IndexError) as wrong:
        print(f"{sys.argv[1]}:{number}: {wrong}")
        sys.exit(1)
    print(json.dumps({
        "ok": True, "cluster": audit.cluster.hex(), "node": audit.node.hex(),
        "logs": len(audit.logs), "bundles": audit.bundles,
        "records": audit.records, "inert": audit.inert, "proofs": audit.proofs,
        "witnessed": len(audit.heads), "ended_by_removal": excused,
    }))


if __name__ == "__main__":
    main()
