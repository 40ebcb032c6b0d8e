-- KEYS: target and bucket. ARGV: 3 digest, 4 what tells the target as it was written.
-- Takes a copy back that nobody has changed since.
local target, bucket = KEYS[FIRST], KEYS[FIRST + 1]
local dump = redis.call('DUMP', target)
if not dump or redis.sha1hex(dump) ~= ARGV[4] then return {'kept', ''} end
redis.call('UNLINK', target)
redis.call('SREM', bucket, ARGV[3])
return {'written', ''}
