-- KEYS: the part, target and bucket. ARGV: 3 digest, 4 on_conflict, 5 when it expires in Unix ms (0: never),
-- 6 how many elements it must have.
local part, target, bucket = KEYS[FIRST], KEYS[FIRST + 1], KEYS[FIRST + 2]
local answer
if redis.call('SISMEMBER', bucket, ARGV[3]) == 1 then
  answer = 'done'
elseif redis.call('EXISTS', target) == 1 and ARGV[4] ~= 'replace' then
  answer = ARGV[4] == 'keep' and 'done' or 'refused'
  if answer == 'done' then redis.call('SADD', bucket, ARGV[3], '-' .. ARGV[3]) end
elseif measure(redis.call('TYPE', part).ok, part) ~= tonumber(ARGV[6]) then
  answer = 'changed'
end
if answer then
  redis.call('UNLINK', part)
  return {answer, ''}
end
if ARGV[5] == '0' then
  redis.call('PERSIST', part)
else
  redis.call('PEXPIREAT', part, ARGV[5])
end
redis.call('RENAME', part, target)
redis.call('SADD', bucket, ARGV[3])
return {'written', ''}
