"""What the canonical form needs of no library."""

import json
import math
import struct

# How struct packs the value and its bits, and the one form of NaN
FLOATS = {32: (">f", ">I", "7fc00000"), 64: (">d", ">Q", "7ff8000000000000")}


def float_bits(value, width):
    form, _, nan = FLOATS[width]
    return nan if math.isnan(value) else struct.pack(form, value).hex()


def bits_float(text, width):
    form, integer, _ = FLOATS[width]
    return struct.unpack(form, struct.pack(integer, int(text, 16)))[0]


def compact_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def map_key(pair):
    return compact_json(pair[0]).encode()
