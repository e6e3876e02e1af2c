"""Pure Python: objects, dicts, strings, floats, sorting, regular expressions, JSON. Argument: rounds."""
import hashlib
import json
import re
import sys


class Vector:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def dot(self, other):
        return self.x * other.x + self.y * other.y


def vectors(n):
    total = Vector(0.0, 0.0)
    step = Vector(0.5, 0.25)
    dots = 0.0
    for k in range(n):
        total = total + step
        if k & 7 == 0:
            dots += total.dot(step)
    return "%.3f %.3f" % (total.x, dots)


def sieve(n):
    flags = bytearray([1]) * (n + 1)
    for k in range(2, int(n**0.5) + 1):
        if flags[k]:
            flags[k * k :: k] = bytes(len(range(k * k, n + 1, k)))
    return sum(flags) - 2


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    count = 0
    free = ~(columns | left | right) & ((1 << n) - 1)
    while free:
        bit = free & -free
        free ^= bit
        count += queens(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    return count


def words(n):
    counts = {}
    state = 1
    for _ in range(n):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        word = "w%d" % (state % 5003)
        counts[word] = counts.get(word, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return " ".join(w for w, _ in ranked[:5])


def text(n):
    lines = ["%05d key%d=value-%d; ratio=%.4f" % (k, k % 97, k * k % 1009, k / 7) for k in range(n)]
    pattern = re.compile(r"key(\d+)=value-(\d+); ratio=(\d+)\.\d")
    found = [pattern.search(line).groups() for line in lines]
    packed = json.dumps([{"id": k, "fields": f} for k, f in enumerate(found)])
    back = json.loads(packed)
    return "%d %d" % (len(packed), sum(int(f) for entry in back for f in entry["fields"]))


def main(rounds):
    digest = hashlib.sha256()
    for k in range(rounds):
        parts = (vectors(40000), sieve(60000), queens(7), words(30000), text(4000), sum(i * i % 7 for i in range(50000)))
        digest.update(repr((k, parts)).encode())
    print(digest.hexdigest())


main(int(sys.argv[1]))
