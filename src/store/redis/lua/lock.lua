-- KEYS: 1 a lock. ARGV: 1 its value, 2 how it begins, 3 life in ms.
-- Answers {1}, or {0, lock, value, ms to live} of the lock that somebody holds.
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, #ARGV[2]) ~= ARGV[2] then
  return {0, KEYS[1], value, redis.call('PTTL', KEYS[1])}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return {1}
