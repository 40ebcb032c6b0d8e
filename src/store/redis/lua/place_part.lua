-- KEYS: the part, target and bucket. ARGV: 3 digest, 4 on_conflict, 5 when it expires in Unix ms (0: never),
-- 6 how many elements it must have.
local part, target, bucket = KEYS[FIRST], KEYS[FIRST + 1], KEYS[FIRST + 2]
local answer
if redis.call('SISMEMBER', bucket, ARGV[3]) == 1 then
  answer = 'done'
elseif redis.call('EXISTS', target) == 1 and ARGV[4] ~= 'replace' then
  answer = ARGV[4] == 'keep' and 'done' or 'refused'
  if answer == 'done' then redis.call('SADD', bucket, ARGV[3], '-' .. ARGV[3]) end
end
answer = place(answer, part, target, ARGV[6], ARGV[5])
if answer == 'written' then redis.call('SADD', bucket, ARGV[3]) end
return {answer, ''}
