-- KEYS: the part, its target, and the record of the move to it. ARGV: 3 when it expires in Unix ms (0: never),
-- 4 what tells the move, 5 ms that the record lives, 6 how many elements the part must have.
local part, target, record = KEYS[FIRST], KEYS[FIRST + 1], KEYS[FIRST + 2]
local known = redis.call('GET', record)
if known then return {known:match('^%S+') == ARGV[4] and 'written' or 'changed', ''} end
local answer
if redis.call('EXISTS', target) == 1 then
  answer = 'refused'
elseif measure(redis.call('TYPE', part).ok, part) ~= tonumber(ARGV[6]) then
  answer = 'changed'
end
if answer then
  redis.call('UNLINK', part)
  return {answer, ''}
end
if ARGV[3] == '0' then
  redis.call('PERSIST', part)
else
  redis.call('PEXPIREAT', part, ARGV[3])
end
redis.call('RENAME', part, target)
redis.call('SET', record, ARGV[4] .. ' -', 'PX', ARGV[5])
return {'written', ''}
