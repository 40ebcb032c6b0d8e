-- KEYS: target and bucket. ARGV: 3 digest, 4 on_conflict, 5 the value as DUMP gave it, or nothing to record
-- a target that is kept, 6 when it expires in Unix ms (0: never).
-- Answers what came of it, and what tells the written target from a later one.
local target, bucket = KEYS[FIRST], KEYS[FIRST + 1]
if redis.call('SISMEMBER', bucket, ARGV[3]) == 1 then
  -- A repeated request whose first answer was lost: what it wrote has yet to be compared with its source.
  local held = redis.call('DUMP', target)
  if held and held == ARGV[5] then return {'written', redis.sha1hex(held)} end
  return {'done', ''}
end
local there = redis.call('EXISTS', target) == 1
if there and ARGV[4] == 'keep' then
  redis.call('SADD', bucket, ARGV[3], '-' .. ARGV[3])
  return {'done', ''}
elseif there and ARGV[4] == 'fail' then
  return {'refused', ''}
elseif ARGV[5] == '' then
  return {'changed', ''}
end
redis.call('RESTORE', target, ARGV[6], ARGV[5], 'ABSTTL', 'REPLACE')
redis.call('SADD', bucket, ARGV[3])
local dump = redis.call('DUMP', target)
return {'written', dump and redis.sha1hex(dump) or ''}
