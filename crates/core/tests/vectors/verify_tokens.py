#!/usr/bin/env python3
"""Checks capability tokens, written apart from the product and with nothing but Python's own library.

    verify_tokens.py FILE...      checks every vector of these files, and says which differ

Formats: postcard (https://postcard.jamesmunns.com/wire-format), BLAKE3 in its key derivation mode
(https://github.com/BLAKE3-team/BLAKE3-specs), Ed25519 (RFC 8032) with the strict rules: no small
order, canonical encodings. The rules of a chain are those of docs/protocol.md, "Capability tokens".
"""
import hashlib
import json
import sys
import unicodedata

CLUSTER = bytes([7]) * 16
EPOCH = 3
BYTES_MAX, LINKS_MAX, FILES_MAX, PHASES_MAX, TIERS_MAX = 8192, 4, 256, 256, 16
LIFE_MS_MAX = 400 * 24 * 3_600_000
(READ, COORDINATE, WRITE_CODE, DELETE, WRITE_PLAN, WRITE_REPORT, SPAWN, TERMINATE, FENCE, APPROVE) = (
    1 << n for n in range(10))
BUILT_IN = ["executive", "implementation", "validation"]


class Bad(Exception):
    """A rule that is broken; its word is the verdict."""


# ---- BLAKE3 -------------------------------------------------------------------------------------

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTE = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
START, END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64
MASK = 0xFFFFFFFF


def compress(chaining, words, counter, length, flags):
    v = chaining[:] + IV[:4] + [counter & MASK, counter >> 32, length, flags]

    def mix(a, b, c, d, x, y):
        for word, turns in ((x, (16, 12)), (y, (8, 7))):
            v[a] = (v[a] + v[b] + word) & MASK
            v[d] = turn(v[d] ^ v[a], turns[0])
            v[c] = (v[c] + v[d]) & MASK
            v[b] = turn(v[b] ^ v[c], turns[1])

    def turn(x, n):
        return (x >> n | x << (32 - n)) & MASK

    for _ in range(7):
        for i in range(4):
            mix(i, i + 4, i + 8, i + 12, words[2 * i], words[2 * i + 1])
        for i in range(4):
            mix(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12, words[8 + 2 * i], words[9 + 2 * i])
        words = [words[p] for p in PERMUTE]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ chaining[i] for i in range(8)]


def words_of(block):
    block = block.ljust(64, b"\0")
    return [int.from_bytes(block[i:i + 4], "little") for i in range(0, 64, 4)]


def bytes_of(words):
    return b"".join(word.to_bytes(4, "little") for word in words)


def blake3(data, key, flags):
    """The 32 bytes of one of BLAKE3's modes."""

    def chunk(part, counter, root):
        chaining = key
        blocks = [part[i:i + 64] for i in range(0, len(part), 64)] or [b""]
        for i, block in enumerate(blocks):
            last = i == len(blocks) - 1
            bits = flags | (START if i == 0 else 0) | (END if last else 0) | (ROOT if last and root else 0)
            chaining = compress(chaining, words_of(block), counter, len(block), bits)[:8]
        return chaining

    def tree(part, counter, root):
        if len(part) <= 1024:
            return chunk(part, counter, root)
        chunks = (len(part) + 1023) // 1024
        left = 1 << (chunks - 1).bit_length() - 1
        sides = tree(part[:left * 1024], counter, False) + tree(part[left * 1024:], counter + left, False)
        return compress(key, sides, 0, 64, flags | PARENT | (ROOT if root else 0))[:8]

    return bytes_of(tree(data, 0, True))


def derive(context, data):
    return blake3(data, words_of(blake3(context.encode(), IV, CONTEXT))[:8], MATERIAL)


# ---- Ed25519 ------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def point(data):
    """A point from its one canonical encoding, or None."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def add(one, other):
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, one):
    sum_ = (0, 1, 1, 0)
    while n:
        if n & 1:
            sum_ = add(sum_, one)
        one = add(one, one)
        n >>= 1
    return sum_


def encoded(one):
    inverse = pow(one[2], -1, P)
    x, y = one[0] * inverse % P, one[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
NOTHING = encoded((0, 1, 1, 0))


def signed(key, message, signature):
    public, r, s = point(key), signature[:32], int.from_bytes(signature[32:], "little")
    at = point(r)
    if public is None or at is None or s >= L:
        return False
    if encoded(times(8, public)) == NOTHING or encoded(times(8, at)) == NOTHING:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    return encoded(add(times(s, BASE), times(L - k, public))) == r


# ---- postcard -----------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Bad("token_malformed")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, bits):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= bits:
                raise Bad("token_malformed")
        # One form: no leading zeros, no overflow.
        if value >> bits or (shift and byte == 0):
            raise Bad("token_malformed")
        return value

    def octets(self):
        return self.take(self.number(32))

    def text(self):
        try:
            return self.octets().decode("utf-8")
        except UnicodeDecodeError:
            raise Bad("token_malformed") from None

    def maybe(self, read):
        tag = self.take(1)[0]
        if tag > 1:
            raise Bad("token_malformed")
        return read() if tag else None

    def many(self, read):
        count = self.number(32)
        if count > len(self.data):
            raise Bad("token_malformed")
        return [read() for _ in range(count)]

    def end(self):
        if self.at != len(self.data):
            raise Bad("token_malformed")


def scope(r):
    kind = r.number(32)
    if kind > 2:
        raise Bad("token_malformed")
    return (["nowhere", "project", "global"][kind], r.text() if kind == 1 else None)


def tier(r):
    kind = r.number(32)
    if kind > 3:
        raise Bad("token_malformed")
    return ("named", r.text()) if kind == 3 else ("built in", BUILT_IN[kind])


def rights(r):
    return {
        "operations": r.number(32), "read": scope(r), "write": scope(r),
        "files": r.maybe(lambda: r.many(r.text)), "phases": r.maybe(lambda: r.many(lambda: r.number(32))),
        "complexity": r.number(16), "lines": r.number(16), "bytes": r.number(32), "rate": r.number(16),
    }


def grant(r):
    return {"tiers": r.many(lambda: tier(r)), "rights": rights(r)}


def link(data):
    r = Reader(data)
    read = {
        "version": r.take(1)[0], "cluster": r.take(16), "issuer": r.take(32), "audience": r.take(32),
        "parent": r.take(32), "nonce": r.take(16), "epoch": r.number(32), "from": r.number(64),
        "until": r.number(64), "renew": r.number(64), "tier": tier(r), "may": rights(r),
        "grant": r.maybe(lambda: grant(r)), "depth": r.take(1)[0],
    }
    r.end()
    return read


# ---- one form -----------------------------------------------------------------------------------


def plain(path):
    """Whether a path has the one form that paths have."""
    if not path or len(path.encode()) > 4096 or path[0] in "/~" or path.encode()[1:2] == b":":
        return False
    for c in path:
        # Categories of Unicode instead of the product's list of ranges: what these vectors hold.
        if unicodedata.category(c) in ("Cc", "Cf", "Mn", "Me", "Zl", "Zp") or c in '\\:*?"<>|':
            return False
    if not unicodedata.is_normalized("NFC", path):
        return False
    for name in path.split("/"):
        stem = name.split(".")[0].rstrip().lower()
        if name in ("", ".", "..") or len(name.encode()) > 255 or name[-1] in ". " or name[0] == " ":
            return False
        if stem in ("con", "prn", "aux", "nul") or (stem[:3] in ("com", "lpt") and stem[3:].isdigit() and len(stem) == 4):
            return False
    return True


def rising(items, most):
    if len(items) > most or any(one >= other for one, other in zip(items, items[1:])):
        raise Bad("token_malformed")


def check_rights(r):
    if r["operations"] >> 10:
        raise Bad("token_malformed")
    for kind, name in (r["read"], r["write"]):
        if kind == "project" and not 0 < len(name.encode()) <= 256:
            raise Bad("token_malformed")
    if r["files"] is not None:
        rising([f.encode() for f in r["files"]], FILES_MAX)
        if not all(plain(f) for f in r["files"]):
            raise Bad("token_malformed")
    if r["phases"] is not None:
        rising(r["phases"], PHASES_MAX)


def check_tier(t):
    kind, name = t
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
    if kind == "named" and (not 0 < len(name) <= 64 or any(c not in letters for c in name) or name in BUILT_IN):
        raise Bad("token_malformed")


def order(t):
    kind, name = t
    return (BUILT_IN.index(name), b"") if kind == "built in" else (3, name.encode())


# ---- the rules ----------------------------------------------------------------------------------


def scope_within(one, other):
    return one[0] == "nowhere" or other[0] == "global" or one == other


def list_within(one, other):
    return other is None or (one is not None and set(one) <= set(other))


def within(one, other):
    return (one["operations"] & ~other["operations"] == 0
            and scope_within(one["read"], other["read"]) and scope_within(one["write"], other["write"])
            and list_within(one["files"], other["files"]) and list_within(one["phases"], other["phases"])
            and all(one[field] <= other[field] for field in ("complexity", "lines", "bytes", "rate")))


CEILINGS = {
    "executive": READ | COORDINATE | WRITE_PLAN | WRITE_REPORT | SPAWN | TERMINATE | FENCE,
    "implementation": READ | COORDINATE | WRITE_CODE | WRITE_REPORT,
    "validation": READ | COORDINATE | WRITE_REPORT | APPROVE,
}


def itself(one, at_ms, begins, ends):
    if one["cluster"] != CLUSTER:
        raise Bad("token_cluster")
    if one["until"] <= one["from"] or one["until"] - one["from"] > LIFE_MS_MAX:
        raise Bad("token_life")
    if one["renew"] and one["renew"] < one["until"]:
        raise Bad("token_life")
    if one["epoch"] < EPOCH:
        raise Bad("token_epoch")
    if not begins <= at_ms < ends:
        raise Bad("token_time")
    may, does = one["may"], one["may"]["operations"]
    for pair in (WRITE_CODE | APPROVE, WRITE_CODE | SPAWN, SPAWN | APPROVE):
        if does & pair == pair:
            raise Bad("token_duties")
    kind, name = one["tier"]
    if kind == "built in":
        above = does & ~CEILINGS[name]
        if name == "implementation":
            above = above or may["complexity"] > 8 or may["lines"] > 60
            above = above or "global" in (may["read"][0], may["write"][0])
            above = above or (does & WRITE_CODE and may["files"] is None)
        if above:
            raise Bad("token_ceiling")
    elif name == "renewer":
        above = does or may["complexity"] or may["lines"]
        if above or "global" in (may["read"][0], may["write"][0]):
            raise Bad("token_ceiling")


def continues(one, before, identity):
    if one["issuer"] != before["audience"] or one["parent"] != identity:
        raise Bad("token_parent")
    if one["from"] < before["from"] or one["until"] > before["until"] or one["renew"] > before["renew"]:
        raise Bad("token_life")
    if one["epoch"] != before["epoch"]:
        raise Bad("token_epoch")
    given = before["grant"]
    if given is None or one["depth"] >= before["depth"] or one["tier"] not in given["tiers"]:
        raise Bad("token_widens")
    if not within(one["may"], given["rights"]):
        raise Bad("token_widens")
    if one["grant"] is not None:
        tiers = all(t in given["tiers"] for t in one["grant"]["tiers"])
        if not tiers or not within(one["grant"]["rights"], given["rights"]):
            raise Bad("token_widens")


def renewal(data):
    """A renewal, if these bytes are one's."""
    if data[:1] != b"\2":
        return None
    r = Reader(data)
    read = {
        "version": r.take(1)[0], "cluster": r.take(16), "renews": r.take(32), "renewer": r.take(32),
        "from": r.number(64), "until": r.number(64), "may": r.maybe(lambda: rights(r)),
        "delegation": r.octets(),
    }
    r.end()
    if read["may"] is not None:
        check_rights(read["may"])
    _, inner, _ = decoded(read["delegation"])
    if inner is not None:
        raise Bad("token_malformed")
    return read


def decoded(data):
    """The links of a token, its renewal if it has one, and all with their signatures."""
    if len(data) > BYTES_MAX:
        raise Bad("token_size")
    r = Reader(data)
    token = r.many(lambda: (r.octets(), r.take(64)))
    r.end()
    renewed = renewal(token[-1][0]) if token else None
    links = token[:-1] if renewed else token
    if not 0 < len(links) <= LINKS_MAX:
        raise Bad("token_depth")
    return links, renewed, token


def renews(renewed, links, names, roots):
    """Whether a renewal says no more than its delegation lets it; gives the delegation's links."""
    last, refused = links[-1], Bad("token_renewal")
    if renewed["cluster"] != CLUSTER:
        raise Bad("token_cluster")
    if renewed["renews"] != names[-1]:
        raise refused
    if renewed["from"] < last["from"] or renewed["until"] <= renewed["from"]:
        raise refused
    if renewed["until"] - renewed["from"] > last["until"] - last["from"] or renewed["until"] > last["renew"]:
        raise refused
    if renewed["may"] is not None and not within(renewed["may"], last["may"]):
        raise Bad("token_widens")
    by, by_names, _ = chained(renewed["delegation"], roots, None, False)
    above = by_names[:-1]
    if by[-1]["audience"] != renewed["renewer"] or by[-1]["tier"] != ("named", "renewer"):
        raise refused
    if by[-1]["epoch"] != last["epoch"] or len(links) <= len(above) or names[:len(above)] != above:
        raise refused
    if not all(one["from"] <= renewed["from"] < one["until"] for one in by):
        raise refused
    if any(renewed["renewer"] in (one["issuer"], one["audience"]) for one in links):
        raise refused


def verify(data, roots, at_ms, enrolled):
    links, names, token = chained(data, roots, at_ms, True)
    if enrolled is not None and enrolled != links[-1]["tier"][1]:
        raise Bad("token_binding")
    signatures(links, names, token, "token_signature")
    renewed = renewal(token[-1][0])
    if renewed is not None:
        body, signature = token[-1]
        if not signed(renewed["renewer"], derive("unisono/capability-renewal/v1", body), signature):
            raise Bad("token_signature")
        by, by_names, by_token = chained(renewed["delegation"], roots, None, False)
        signatures(by, by_names, by_token, "token_renewal")


def signatures(links, names, token, verdict):
    for one, name, (_, signature) in zip(links, names, token):
        if not signed(one["issuer"], name, signature):
            raise Bad(verdict)


def chained(data, roots, at_ms, timely):
    """The links of a token that continue one another, with their names; without their signatures."""
    token, renewed, whole = decoded(data)
    links = []
    for body, _ in token:
        one = link(body)
        if one["version"] != 1:
            raise Bad("token_malformed")
        check_rights(one["may"])
        if one["grant"] is not None:
            rising([order(t) for t in one["grant"]["tiers"]], TIERS_MAX)
            for t in one["grant"]["tiers"]:
                check_tier(t)
            check_rights(one["grant"]["rights"])
        check_tier(one["tier"])
        links.append(one)
    names = [derive("unisono/capability-link/v1", body) for body, _ in token]
    if renewed is not None:
        renews(renewed, links, names, roots)
    for i, one in enumerate(links):
        begins, ends = one["from"], one["until"]
        if renewed is not None:
            ends = max(ends, renewed["until"])
            if i == len(links) - 1:
                begins, ends = renewed["from"], renewed["until"]
        itself(one, at_ms if timely else begins, begins, ends)
        if i == 0:
            if one["issuer"] not in roots:
                raise Bad("token_root")
            if one["parent"] != bytes(32):
                raise Bad("token_parent")
        else:
            continues(one, links[i - 1], names[i - 1])
        if any(earlier["issuer"] == one["audience"] for earlier in links[:i + 1]):
            raise Bad("token_binding")
    return links, names, whole


def public(secret):
    """The public key of a secret: the root of the vectors is made of thirty-two ones."""
    scalar = int.from_bytes(hashlib.sha512(secret).digest()[:32], "little")
    scalar = scalar & (1 << 254) - 8 | 1 << 254
    return encoded(times(scalar, BASE))


def main(files):
    roots = [public(bytes([1]) * 32)]
    wrong = count = 0
    for file in files:
        with open(file, encoding="utf-8") as opened:
            vectors = json.load(opened)
        for vector in vectors:
            count += 1
            try:
                verify(bytes.fromhex(vector["token"]), roots, vector["at_ms"], vector["enrolled"])
                verdict = "ok"
            except Bad as bad:
                verdict = str(bad)
            if verdict != vector["verdict"]:
                wrong += 1
                print(f"{file}: {vector['name']}: {verdict}, expected {vector['verdict']}")
    print(f"{count} vectors, {wrong} differ")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
