"""Prints how pygolang quotes, as JSON lines: base64 of a text, base64 of it quoted.

The texts are all characters that this Python knows, one by one, and random bytes.
U+FFFD is left out: pygolang loses two of its bytes.
"""

import base64
import json
import random
import unicodedata

from golang import strconv


def texts():
    for code in range(0x110000):
        if unicodedata.category(chr(code)) not in ("Cn", "Cs") and code != 0xFFFD:
            yield chr(code).encode()
    rng = random.Random(7)
    pieces = [b"\xc3", b"\xe6\x97", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "é".encode(), b'"', b"\\"]
    for _ in range(20000):
        yield b"".join(rng.choice(pieces) if rng.random() < 0.5 else rng.randbytes(1) for _ in range(8))


for text in texts():
    if "\ufffd".encode() not in text:
        quoted = strconv.quote(text)
        print(json.dumps([base64.b64encode(b).decode() for b in (text, quoted)]))
