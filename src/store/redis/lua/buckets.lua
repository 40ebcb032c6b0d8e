-- KEYS: 4 where the number of buckets is kept. ARGV: 3 the number, if none is kept yet.
redis.call('SETNX', KEYS[4], ARGV[3])
return redis.call('GET', KEYS[4])
