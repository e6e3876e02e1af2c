/** Random redis commands whose replies do not depend on time, on memory or on the seed of a hash. */

/** Mulberry32: numbers in [0, 1). */
export function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function redisScript(seed: number, count: number): string[][] {
  const random = generator(seed);
  const int = (n: number): number => Math.floor(random() * n);
  const key = (): string => `key:${int(12)}`;
  const value = (): string => 'abcdefghij'.repeat(1 + int(30)).slice(int(10), 10 + int(200));
  const number = (): string => String(int(2000) - 1000);
  const real = (): string => ((random() - 0.5) * 1e6).toFixed(6);
  const kinds: (() => string[])[] = [
    () => ['SET', key(), value()],
    () => ['SET', key(), number()],
    () => ['GET', key()],
    () => ['APPEND', key(), value()],
    () => ['STRLEN', key()],
    () => ['GETRANGE', key(), number(), number()],
    () => ['INCRBY', key(), number()],
    () => ['INCRBYFLOAT', key(), real()],
    () => ['SETBIT', key(), String(int(3000)), String(int(2))],
    () => ['BITCOUNT', key()],
    () => ['BITPOS', key(), String(int(2))],
    () => ['MSET', key(), value(), key(), number()],
    () => ['LPUSH', key(), value(), number()],
    () => ['RPUSH', key(), value()],
    () => ['LRANGE', key(), '0', '-1'],
    () => ['RPOP', key()],
    () => ['SADD', key(), number(), number()],
    () => ['SCARD', key()],
    () => ['SISMEMBER', key(), number()],
    () => ['SORT', key(), 'ALPHA', 'DESC'],
    () => ['HSET', key(), value(), value()],
    () => ['HINCRBYFLOAT', key(), 'f', real()],
    () => ['HLEN', key()],
    () => ['ZADD', key(), real(), value(), real(), number()],
    () => ['ZRANGE', key(), '0', '-1', 'WITHSCORES'],
    () => ['ZINCRBY', key(), real(), number()],
    () => ['GEOADD', key(), String(int(180)), String(int(80)), 'a', String(-int(180)), String(int(80)), 'b'],
    () => ['GEODIST', key(), 'a', 'b', 'km'],
    () => ['PFADD', key(), value(), number()],
    () => ['PFCOUNT', key()],
    () => ['TYPE', key()],
    () => ['DEL', key()],
    () => ['RENAME', key(), key()],
    () => ['EVAL', "return {tostring(tonumber(ARGV[1]) / 7), redis.call('TYPE', KEYS[1]).ok}", '1', key(), real()],
    () => ['EVAL', 'return redis.sha1hex(ARGV[1])', '0', value()],
    () => ['DBSIZE'],
    () => ['ECHO', value()],
    () => ['NOSUCHCOMMAND', value()],
  ];
  return Array.from({ length: count }, () => kinds[int(kinds.length)]!());
}
