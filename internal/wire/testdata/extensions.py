"""Write extensions.jsonl, what real picklers make of some hundreds of values.

    python3.11 -m venv venv && venv/bin/pip install zodbpickle==4.5
    PYTHONHASHSEED=0 venv/bin/python extensions.py > extensions.jsonl

Each line is one extension, a dict; binary fields are in base64:

name      what it shows
stored    as ZODB stores it (zodbpickle, protocol 3)
message   the T message in which a zc.zrs primary sends it (pickle, protocol 1,
          fast mode), with the fields TID, STATUS, USER, DESCRIPTION below
rebuilt   as a zc.zrs secondary stores it after that; absent if equal to stored
protocols the value pickled in other protocols, and after "want" what ZODB stores
          for what that loads as; "want" is absent if equal to stored
"""
import base64
import collections
import datetime
import decimal
import io
import json
import pickle
import random
import sys

from zodbpickle import pickle as zodbpickle

TID = bytes.fromhex('03f8a1b2c3d40100')
STATUS = ' '
USER = '/ j\xf6rg'.encode()
DESCRIPTION = b''

rnd = random.Random(20240229)


def stored(value):
    return zodbpickle.dumps(value, 3)


def message(value):
    out = io.BytesIO()
    pickler = pickle.Pickler(out, 1)
    pickler.fast = True
    pickler.dump(('T', (TID, STATUS, USER, DESCRIPTION, value)))
    return out.getvalue()


def b64(data):
    return base64.b64encode(data).decode()


def emit(name, value, protocols=(0, 1, 2, 4, 5)):
    case = {'name': name, 'stored': b64(stored(value))}
    sent = message(value)
    case['message'] = b64(sent)
    rebuilt = stored(pickle.loads(sent)[1][4])
    if rebuilt != stored(value):
        case['rebuilt'] = b64(rebuilt)
    case['protocols'] = []
    for protocol in protocols:
        dumped = pickle.dumps(value, protocol)
        other = {'protocol': protocol, 'pickle': b64(dumped)}
        want = stored(pickle.loads(dumped))
        if want != stored(value):
            other['want'] = b64(want)
        case['protocols'].append(other)
    json.dump(case, sys.stdout)
    print()


# Random values. Text and bytes are made anew each time, so that only what is
# drawn from the pool, and what Python has only once, is shared.

ALPHABET = 'abcxyz019 /_\\\'"\n\r\t\0\x1a\x7f\x80\xe9\xff\u0100\u20ac\ud800\U0001f600'


def text():
    return ''.join(rnd.choice(ALPHABET) for _ in range(rnd.choice((0, 1, 1, 2, 3, 8, 20))))


def data():
    return bytes(rnd.randrange(256) for _ in range(rnd.choice((0, 1, 1, 2, 3, 8, 20))))


def integer():
    bits = rnd.choice((1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 200))
    edge = rnd.choice((1 << bits, (1 << bits) - 1, (1 << bits) + 1, rnd.getrandbits(bits)))
    return rnd.choice((edge, -edge))


def real():
    return rnd.choice((0.0, -0.0, 1.5, -1e-300, 1e300, float('inf'), float('-inf'), float('nan'),
                       rnd.random(), rnd.gauss(0, 1e6)))


def moment():
    zone = rnd.choice((None, datetime.timezone(datetime.timedelta(minutes=rnd.randrange(1, 700)))))
    when = datetime.datetime(rnd.randrange(1, 9999), rnd.randrange(1, 13), rnd.randrange(1, 29),
                             rnd.randrange(24), rnd.randrange(60), rnd.randrange(60),
                             rnd.randrange(1000000), zone)
    return rnd.choice((when, when.date(), when.timetz(),
                       datetime.timedelta(rnd.randrange(-999, 999), rnd.randrange(86400))))


def collection():
    # The order of a set is its own, so small numbers, which keep theirs.
    return rnd.choice((set, frozenset))(rnd.sample(range(6), rnd.choice((0, 1, 2, 4))))


def other():
    return rnd.choice((
        lambda: bytearray(data()),
        lambda: complex(rnd.randrange(9), rnd.random()),
        lambda: decimal.Decimal(rnd.randrange(10 ** 6)) / 7,
        lambda: datetime.datetime,
        lambda: collections.OrderedDict((text() + str(i), integer()) for i in range(rnd.choice((0, 1, 2, 5)))),
    ))()


SCALARS = (text, text, data, integer, integer, real, lambda: None, lambda: True, lambda: False)


def value(depth, pool):
    if pool and rnd.random() < 0.35:
        return rnd.choice(pool)
    kind = rnd.random()
    if depth == 0 or kind < 0.5:
        v = rnd.choice(SCALARS)()
    elif kind < 0.6:
        v = rnd.choice((moment, collection, other))()
    elif kind < 0.75:
        v = tuple(value(depth - 1, pool) for _ in range(rnd.choice((0, 1, 2, 3, 4, 6))))
    elif kind < 0.87:
        v = [value(depth - 1, pool) for _ in range(rnd.choice((0, 1, 2, 5)))]
    else:
        v = dictionary(depth - 1, pool)
    if pool is not None:
        pool.append(v)
    return v


def dictionary(depth, pool, sizes=(0, 1, 2, 3, 5)):
    return {text(): value(depth, pool) for _ in range(rnd.choice(sizes))}


def nested(wrap, depth):
    v = {}
    for _ in range(depth):
        v = wrap(v)
    return v


def main():
    emit('empty', {})  # never stored, ZODB stores nothing
    emit('flat', {'request_type': 'form', 'n': 7})
    for name, v in (('none', None), ('true', True), ('false', False), ('float', 1.5),
                    ('text', 'caf\xe9'), ('text-empty', ''), ('bytes', b'\x00\x7f\x80\xff'),
                    ('bytes-empty', b''), ('bytes-255', bytes(range(255))),
                    ('bytes-256', bytes(range(256))), ('tuple-empty', ()), ('list-empty', [])):
        emit(name, {'k': v})
    for bits in (8, 16, 31, 32, 63, 64, 2032, 2040, 2048):
        emit('integers-%d' % bits, {'k': [s * (1 << bits) + d for s in (1, -1) for d in (-1, 0, 1)]})
    emit('global', {'k': datetime.datetime, 'l': datetime.datetime, 'm': set, 'n': set})
    emit('single-characters', {c: [c, c.encode('utf-8')[:1]] for c in 'a\x7f\x80\xff\u0100\u0101'})
    for n in (1, 2, 999, 1000, 1001, 1002, 2000, 2001):
        emit('list-%d' % n, {'k': [i % 256 for i in range(n)]}, (0, 4) if n > 2 else (0, 1, 2, 4, 5))
        emit('dict-%d' % n, {'k': dict.fromkeys(range(n))}, (1, 5) if n > 2 else (0, 1, 2, 4, 5))
        emit('ordered-dict-%d' % n, {'k': collections.OrderedDict.fromkeys(range(n))},
             (2, 4) if n > 2 else (0, 1, 2, 4, 5))
        emit('tuple-%d' % n, {'k': tuple(i % 256 for i in range(n))}, (0, 2) if n > 2 else (0, 1, 2, 4, 5))
    emit('memo-257', {str(i) + 'x': [] for i in range(200)})
    shared = 'shared' * 3
    emit('shared-text', {'a': shared, 'b': shared})
    some = [1, (2, shared)]
    emit('shared-list', {'a': some, 'b': {'c': some, 'd': some[1]}})
    emit('deep-lists', {'k': nested(lambda v: [v], 60)})
    emit('deep-dicts', {'k': nested(lambda v: {'k': v}, 60)})
    emit('deep-tuples', {'k': nested(lambda v: (v,), 60)})
    for i in range(150):
        emit('random-%d' % i, dictionary(3, None, (1, 2, 4)))
    for i in range(150):
        emit('random-shared-%d' % i, dictionary(3, [], (1, 2, 4)))


main()
