-- KEYS: target and bucket of a copy. ARGV: 3 digest. Takes the copy back, and forgets it.
redis.call('UNLINK', KEYS[FIRST])
redis.call('SREM', KEYS[FIRST + 1], ARGV[3])
return {'written', ''}
